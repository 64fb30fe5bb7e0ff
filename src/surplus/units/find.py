"""`find_units`: follow the units of each layer to where they are read."""

import torch
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.units.chain import chain_of, evaluating
from surplus.units.group import Group, Kind, Slot, every
from surplus.units.kinds import CONVOLUTIONS, ELEMENTWISE, NORMALISING, PASSING, POOLING
from surplus.units.units import Units

Layer = tuple[str, nn.Module, tuple[int, ...]]


def find_units(model: nn.Module, example: Tensor) -> Units:
    """Find the units of a chain of layers, with everything that must go with each.

    The model is run once on the example, in evaluation mode; nothing in it is changed.

    Args:
        model: An `nn.Sequential` (nested ones too) of dense and convolutional layers, batch normalisation, element-wise
            activations, pooling, dropout and flatten.
        example: A batch of inputs.

    Raises:
        InvalidArgument: the model is not a chain, or does not run on the example.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> print(find_units(net, torch.zeros(1, 4)))
        layer  kind    units  incoming  outgoing  removable
        0      neuron      3  0.weight  2.weight  yes
        2      neuron      2  2.weight            no: they are the outputs of the network
    """
    layers = _run(model, example)
    owners = _owners(model)
    groups = {}
    for place, (name, module, _) in enumerate(layers):
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d) and name not in groups:
            groups[name] = _follow(layers, place, module, owners)
    return Units(model, example, groups)


def _run(model: nn.Module, example: Tensor) -> list[Layer]:
    layers: list[Layer] = []
    value = example.clone()  # a first layer that works in place must not change the caller's tensor
    with torch.no_grad(), evaluating(model):
        for name, module in chain_of(model):
            try:
                value = module(value)
            except (RuntimeError, TypeError, ValueError) as failed:
                raise InvalidArgument(
                    f"The model does not run on an example of shape {tuple(example.shape)} and type {example.dtype}:"
                    f" layer `{name}` ({type(module).__name__}) says: {failed}"
                ) from failed
            if isinstance(module, CONVOLUTIONS) and value.dim() < module.weight.dim():
                raise InvalidArgument(
                    f"The example of shape {tuple(example.shape)} has no batch axis; use `example[None]`."
                )
            layers.append((name, module, tuple(value.shape)))
    return layers


def _owners(model: nn.Module) -> dict[int, int]:
    """Count how many modules hold each parameter, to see tied weights."""
    counts: dict[int, int] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            counts[id(parameter)] = counts.get(id(parameter), 0) + 1
    return counts


def _follow(
    layers: list[Layer],
    place: int,
    module: nn.Linear | nn.Conv1d | nn.Conv2d,
    owners: dict[int, int],
) -> Group:
    name = layers[place][0]
    size = module.weight.shape[0]
    kind: Kind = "filter" if isinstance(module, CONVOLUTIONS) else "neuron"
    incoming = (Slot(f"{name}.weight", 0, every(size)),)
    carried = [Slot(f"{name}.bias", 0, every(size))] if module.bias is not None else []
    reason = _unfit(layers, place, owners)
    activation: str | None = name
    outgoing: tuple[Slot, ...] = ()
    width = 1
    for offset, (below, reader, _) in enumerate(layers[place + 1 :], start=place + 1):
        if reason is not None:
            break
        if type(reader) in ELEMENTWISE:
            activation = below
        elif type(reader) in NORMALISING and width == 1:
            reason = _unfit_statistics(layers, offset, owners)
            activation = below
            carried += _statistics(below, reader, size)
        elif type(reader) is nn.Flatten and (reader.start_dim, reader.end_dim) == (1, -1):
            width *= layers[offset][2][1] // (size * width)
        elif type(reader) in (nn.Linear, *CONVOLUTIONS):
            reason = _unfit(layers, offset, owners)
            outgoing = (Slot(f"{below}.weight", 1, every(size, width)),)
            break
        elif type(reader) in PASSING and not _mixes(reader, len(layers[offset - 1][2])):
            pass
        else:
            reason = f"they cannot be followed through `{below}` ({type(reader).__name__})"
    else:
        reason = reason or "they are the outputs of the network"
    return Group(
        name=name,
        kind=kind,
        size=size,
        incoming=incoming,
        carried=tuple(carried),
        outgoing=outgoing if reason is None else (),
        protected=reason,
        activation=activation,
    )


def _unfit(layers: list[Layer], place: int, owners: dict[int, int]) -> str | None:
    """Say why a layer's weights cannot be cut, or None."""
    name, module, shape = layers[place]
    kind = type(module)
    if sum(other is module for _, other, _ in layers) > 1:
        return f"`{name}` runs more than once"
    if kind not in (nn.Linear, *CONVOLUTIONS):
        return f"`{name}` is a {kind.__name__}, which is not known to be a plain layer"
    own = dict(module.named_parameters(recurse=False))
    if "weight" not in own:
        return f"the weight of `{name}` is computed from other parameters (a parametrisation or a pruning hook)"
    if any(owners[id(parameter)] > 1 for parameter in own.values()):
        return f"`{name}` shares its parameters with another layer"
    if isinstance(module, CONVOLUTIONS) and module.groups != 1:
        return f"`{name}` is a grouped convolution"
    if isinstance(module, nn.Linear) and len(shape) != 2:
        return f"`{name}` reads an input with {len(shape)} axes"
    return None


def _mixes(module: nn.Module, dim: int) -> bool:
    """Say whether a pooling runs along the units, because its input has no axis of positions."""
    return isinstance(module, POOLING) and str(dim - 2) not in type(module).__name__


def _unfit_statistics(layers: list[Layer], place: int, owners: dict[int, int]) -> str | None:
    """Say why a batch normalisation cannot be cut, or None."""
    name, module, _ = layers[place]
    if sum(other is module for _, other, _ in layers) > 1:
        return f"`{name}` runs more than once"
    if any(owners[id(parameter)] > 1 for parameter in module.parameters()):
        return f"`{name}` shares its parameters with another layer"
    if not getattr(module, "track_running_stats", True):
        return f"`{name}` takes its statistics from the batch"
    return None


def _statistics(name: str, module: nn.Module, size: int) -> list[Slot]:
    kept = ("weight", "bias", "running_mean", "running_var")
    state = module.state_dict()
    return [Slot(f"{name}.{key}", 0, every(size)) for key in kept if key in state]
