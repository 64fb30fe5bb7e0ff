"""The path norm: a sum over all paths through a network, by one run of it with other weights."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from surplus.base import InvalidArgument
from surplus.edits import example_for
from surplus.units import evaluating, left_as_found, plain_kernels

SHAPING = frozenset(
    "t transpose permute view _unsafe_view reshape expand squeeze unsqueeze slice select clone detach alias cat split"
    " split_with_sizes chunk narrow unbind stack sum empty zeros zeros_like upsample_nearest2d".split()
)
RECTIFYING = frozenset("relu relu_ leaky_relu leaky_relu_".split())
PRODUCTS = frozenset("mm addmm bmm baddbmm linear convolution".split())
NORMALISING = frozenset(
    "native_batch_norm cudnn_batch_norm _native_batch_norm_legit_no_training".split()
)


def path_norm(model: nn.Module, example: Any, power: int = 2) -> float:
    """Return (sum over paths of the product over a path's weights of |weight|^power)^(1 / power).

    A path runs from an entry of the input, or from a bias, to an output. One run sums over all of them: with
    |weight|^power as weights and ones as inputs. Rectifiers then change nothing; normalisations are the scales and
    shifts that they are in evaluation mode; averages are weights; from each entry under a maximum a path leads on.

    Args:
        model: Left as it is; its operators must be linear in each weight, rectifiers and maxima apart.
        example: What the model runs on; only shapes matter.
        power: 1 or 2.

    Raises:
        InvalidArgument: the model has an operator through which no product of weights leads, or no real inputs.

    Reference: neyshabur2015norm, for layered networks; gonon2024path, for maxima, averages and skipped layers.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
        >>> _ = net[0].weight.data.copy_(torch.tensor([[1.0, -2.0], [0.0, 3.0]]))
        >>> _ = net[2].weight.data.fill_(-1.0)
        >>> path_norm(net, torch.zeros(1, 2), power=1), path_norm(net, torch.zeros(1, 2)) ** 2
        (6.0, 14.0)
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    real = {name: each for name, each in tensors.items() if each.is_floating_point()}
    plain = {name: each.detach().double().cpu() for name, each in real.items()}
    raised = {name: each.abs() ** power for name, each in plain.items()}
    positional, named = example_for(model, example)
    ones = tree_map(_ones, (positional, named))
    paths = _Paths(power, [(raised[name], plain[name]) for name in plain])
    with torch.no_grad(), evaluating(model), left_as_found(model), plain_kernels(model), paths:
        outputs = functional_call(model, raised, ones[0], ones[1])
    if not isinstance(outputs, Tensor):
        raise InvalidArgument(f"the model returns a {type(outputs).__name__}, not one tensor")
    return float(outputs.sum()) ** (1 / power)


def _ones(given: Any) -> Any:
    """Return ones in place of one example of the batch."""
    if not isinstance(given, Tensor):
        return given
    if not given.is_floating_point():
        raise InvalidArgument("its inputs are whole numbers, which no weight multiplies")
    return torch.ones(1, *given.shape[1:], dtype=torch.float64)


@final
class _Paths(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs operators as sums over paths, and refuses those that are none."""

    def __init__(self, power: int, weights: Sequence[tuple[Tensor, Tensor]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._power = power
        self._plain = {id(raised): plain for raised, plain in weights}
        self._fixed = {_address(raised) for raised, _ in weights}
        self._held = weights  # so that no identity is used twice
        self._special: Mapping[str, Callable[..., Any]] = {
            **dict.fromkeys(NORMALISING, self._normalise),
            **dict.fromkeys(("add", "add_", "sub", "sub_"), self._add),
            **dict.fromkeys(("mul", "div"), self._scale),
            "max_pool2d_with_indices": self._maximum,
            "avg_pool2d": self._average,
            "mean": self._mean,
            "_adaptive_avg_pool2d": self._mean,
            "constant_pad_nd": self._pad,
        }

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = operator.name().removeprefix("aten::").partition(".")[0]
        kwargs = kwargs or {}
        if name in SHAPING:
            return operator(*args, **kwargs)
        if name in RECTIFYING:
            return args[0]
        if name in PRODUCTS:
            given = [each for each in args if isinstance(each, Tensor)][-3:]
            factors = given[-2:] if name in ("mm", "addmm", "bmm", "baddbmm") else given[:2]
            if kwargs or not any(self._is_fixed(each) for each in factors):
                raise _refused(name)
            return operator(*args)
        if name in self._special:
            return self._special[name](operator, *args, **kwargs)
        raise _refused(name)

    def _is_fixed(self, value: Any) -> bool:
        return isinstance(value, Tensor) and _address(value) in self._fixed

    def _normalise(self, operator: Any, x: Tensor, *given: Any) -> tuple[Tensor, Tensor, Tensor]:
        weight, bias, mean, variance = (
            None if each is None else self._plain.get(id(each)) for each in given[:4]
        )
        if mean is None or variance is None:
            raise InvalidArgument("a batch normalisation keeps no running statistics")
        scale = (variance + given[-1]).rsqrt() * (1 if weight is None else weight)
        shift = (0 if bias is None else bias) - mean * scale
        shape = [1, -1, *[1] * (x.dim() - 2)]
        raised = x * scale.abs().pow(self._power).view(shape)
        empty = x.new_empty(0)
        return raised + shift.abs().pow(self._power).view(shape), empty, empty

    def _add(self, operator: Any, x: Any, y: Any, alpha: float = 1) -> Any:
        y = y * abs(alpha) ** self._power if isinstance(y, Tensor) else abs(y) ** self._power
        return x.add_(y) if operator.name().partition(".")[0].endswith("_") else x + y

    def _scale(self, operator: Any, x: Any, y: Any, **more: Any) -> Any:
        name = operator.name().removeprefix("aten::").partition(".")[0]
        if isinstance(y, int | float) and not more:
            return operator(x, abs(y) ** self._power)
        if (self._is_fixed(y) or (self._is_fixed(x) and name == "mul")) and not more:
            return operator(x, y)
        raise _refused(name)

    def _maximum(
        self, operator: Any, x: Tensor, kernel: Any, stride: Any = (), padding: Any = 0,
        dilation: Any = 1, ceil_mode: bool = False,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        if any(each != 1 for each in _pair(dilation)):
            raise InvalidArgument("the windows of a maximum are dilated")
        stride = stride or kernel
        total = F.avg_pool2d(x, kernel, stride, padding, ceil_mode, True, divisor_override=1)
        return total, torch.zeros_like(total, dtype=torch.int64)

    def _average(
        self, operator: Any, x: Tensor, kernel: Any, stride: Any = (), padding: Any = 0,
        ceil_mode: bool = False, count_include_pad: bool = True, divisor: int | None = None,
    ) -> Tensor:  # fmt: skip
        outside = any(_pair(padding)) and not count_include_pad
        if ceil_mode or outside:
            raise InvalidArgument("the windows of an average are of different sizes")
        height, width = _pair(kernel)
        total = F.avg_pool2d(x, kernel, stride or kernel, padding, divisor_override=1)
        return total / (divisor or height * width) ** self._power

    def _mean(self, operator: Any, x: Tensor, *given: Any, **more: Any) -> Tensor:
        found: Tensor = operator(x, *given, **more)
        size = x.numel() / found.numel()
        lengths = zip(x.shape, found.shape, strict=False) if x.dim() == found.dim() else ()
        if any(before % after for before, after in lengths):
            raise InvalidArgument("the windows of an average are of different sizes")
        return found / size ** (self._power - 1)

    def _pad(self, operator: Any, x: Tensor, pad: Any, value: float = 0) -> Tensor:
        return F.pad(x, pad, value=abs(value) ** self._power)


def _pair(value: Any) -> tuple[int, int]:
    several = tuple(value) if isinstance(value, list | tuple) else (value,)
    return (several[0], several[-1])


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _refused(name: str) -> InvalidArgument:
    return InvalidArgument(f"`{name}` is no operator through which products of weights lead")
