"""Surgery: putting modules in the place of others, where a change of sizes is not enough."""

from typing import Any

from torch import Tensor, nn

from surplus.base import InvalidArgument, unknown_name
from surplus.edits.records import Factorisation, Insertion
from surplus.edits.resize import layout_of
from surplus.edits.verifying import NotEqual

LAYERS: dict[str, Any] = {
    "linear": nn.Linear,
    "conv1d": nn.Conv1d,
    "conv2d": nn.Conv2d,
    "conv3d": nn.Conv3d,
}
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def module_named(model: nn.Module, name: str) -> nn.Module:
    """Return a module of a model.

    Raises:
        UnknownName: the model has none of that name.
        InvalidArgument: it is the model itself, in whose place nothing can be put.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    if name not in modules:
        raise unknown_name("module", name, [each for each in modules if each])
    if not name:
        raise InvalidArgument(
            "The model is a single layer, in whose place nothing can be put: wrap it in `nn.Sequential`."
        )
    return modules[name]


def replace_(model: nn.Module, name: str, new: nn.Module) -> None:
    """In place: put a module where another is, under all its names."""
    old = module_named(model, name)
    for holder in list(model.modules()):
        for key, child in list(holder._modules.items()):
            if child is old and holder is not new:
                holder._modules[key] = new


def check_only_called(name: str, failed: NotEqual) -> None:
    """Say that something reads more of a module than what it returns, where that is why an edited model fails.

    Raises:
        InvalidArgument: that is so.
    """
    if isinstance(failed.__cause__, AttributeError):
        raise InvalidArgument(
            f"Something reads attributes of `{name}`, which the layers in its place do not have: {failed.__cause__}."
            " Only a layer that is called, and nothing else, can be replaced."
        ) from failed


def factors(layer: Any, rank: int) -> nn.Sequential:
    """Return two layers, of any values, that are `rank` wide between them and together read and give what one does.

    Of a convolution the first has the kernel, with its stride, padding and dilation; the second looks at single
    positions. Only the second has a bias, the first layer's.

    Raises:
        InvalidArgument: the layer is neither linear nor a convolution without groups, or its rank cannot be that.
    """
    limit = check_factorisable(layer)
    if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= limit:
        raise InvalidArgument(
            f"`rank` is {rank}; that of a weight of shape {tuple(layer.weight.shape)} is an integer between 1 and"
            f" {limit}."
        )
    like = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        inner: Any = _empty(nn.Linear, layer.in_features, rank, bias=False, **like)
        outer: Any = _empty(nn.Linear, rank, layer.out_features, bias=bias, **like)
    else:
        kind = LAYERS[f"conv{layer.weight.dim() - 2}d"]
        inner = _empty(
            kind,
            layer.in_channels,
            rank,
            layer.kernel_size,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            padding_mode=layer.padding_mode,
            bias=False,
            **like,
        )
        outer = _empty(kind, rank, layer.out_channels, 1, bias=bias, **like)
    for each in (inner, outer):
        each.weight.requires_grad_(layer.weight.requires_grad)
    if bias:
        outer.bias.requires_grad_(layer.bias.requires_grad)
    pair = nn.Sequential(inner, outer).train(layer.training)
    return pair.to(memory_format=layout_of(layer.weight))  # type: ignore[call-overload]


def _empty(kind: type[nn.Module], *sizes: Any, **settings: Any) -> nn.Module:
    """Return a layer of zeros; one that initialises itself would draw from the random stream."""
    layer: nn.Module = nn.utils.skip_init(kind, *sizes, **settings)  # type: ignore[no-untyped-call]
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def check_factorisable(layer: Any) -> int:
    """Refuse what is no layer with one weight matrix; return the largest rank that its weight can have."""
    plain = type(layer) in (nn.Linear, *CONVOLUTIONS)
    if not plain:
        raise InvalidArgument(
            f"A {type(layer).__name__} cannot be factorised: only plain linear layers and convolutions have one weight"
            " matrix that two layers can share."
        )
    if getattr(layer, "groups", 1) > 1:
        raise InvalidArgument(
            f"A convolution with {layer.groups} groups has a weight matrix for each, and cannot be factorised as one."
        )
    return min(len(layer.weight), layer.weight[0].numel())


def inserted(after: nn.Module, step: Insertion, reads: Tensor) -> nn.Sequential:
    """Return a module followed by a new layer that gives what it reads, and its activation function.

    Args:
        after: The module.
        step: What to insert.
        reads: A tensor on the device and of the type of what the layer reads.
    """
    like: Any = {"device": reads.device, "dtype": reads.dtype}
    if step.layer == "linear":
        layer: Any = _empty(nn.Linear, step.width, step.width, **like)
        nn.init.eye_(layer.weight)
    else:
        kind, size = LAYERS[step.layer], step.kernel_size
        layer = _empty(kind, step.width, step.width, size, padding=size // 2, **like)
        nn.init.dirac_(layer.weight)
    following = [nn.ReLU()] if step.activation == "relu" else []
    new = nn.Sequential(after, layer, *following)
    for module in (new, layer, *following):
        module.training = after.training
    return new


def renamed(name: str, step: Factorisation | Insertion) -> str | None:
    """Return what a tensor or layer is called after a step; None for a weight that is two afterwards."""
    if isinstance(step, Insertion):
        path, place = step.after, 0
    else:
        path, place = step.module, 1
        if name == f"{path}.weight":
            return None
    if name == path or name.startswith(f"{path}."):
        return f"{path}.{place}{name.removeprefix(path)}"
    return name
