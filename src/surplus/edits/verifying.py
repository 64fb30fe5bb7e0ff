"""Verifying: does a cut model compute what the masked one computes?"""

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from surplus.base import InvalidArgument, SurplusError
from surplus.masks import Mask, enforce
from surplus.units import (
    Units,
    arguments,
    evaluating,
    left_as_found,
    parametrisations,
    plain_kernels,
    tensors_of,
)

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}


class NotEqual(SurplusError):
    """A cut model that does not compute what the masked one computes."""


def masked(model: nn.Module, mask: Mask) -> nn.Module:
    """Return the masked model that a cut one has to equal.

    Removed units are silent, and where they would take part in the statistics of a normalisation, these are taken over
    the units that are kept. Where there are no such statistics it is `enforce`.
    """
    zeroed = enforce(model, mask)
    assert mask.units is not None
    kept = _kept_where_it_matters(mask.units, mask)
    return _WithKeptStatistics(zeroed, kept) if kept else zeroed


@torch.no_grad()
def difference(model: nn.Module, smaller: nn.Module, mask: Mask, units: Units) -> float:
    """Return the largest absolute difference between the outputs of the cut and the masked model on the example.

    Raises:
        NotEqual: they differ by more than rounding.
    """
    reference = masked(model, mask)
    outputs = []
    for each in (reference, smaller):
        positional, named = example_for(model, units.example)
        with evaluating(each), left_as_found(each):
            try:
                outputs.append(_tensors(each(*positional, **named)))
            except Exception as failed:
                which = "masked" if each is reference else "cut"
                raise NotEqual(
                    f"The {which} model does not run on the example: {failed}."
                    " Please report this with the model; nothing was changed."
                ) from failed
    _check_comparable(model, outputs[0])
    worst = 0.0
    for one, other in zip(*outputs, strict=True):
        if one.shape != other.shape:
            raise NotEqual(
                f"The cut model's outputs have shape {tuple(other.shape)}, the masked model's {tuple(one.shape)}."
            )
        if not one.numel():
            continue
        apart = float((one - other).abs().max())
        bound = TOLERANCE.get(one.dtype, 1e-2) * max(1.0, float(one.abs().max()))
        if not apart <= bound:
            raise NotEqual(
                f"The cut model's outputs differ from the masked model's by up to {apart:.3g}."
                " Please report this with the model; nothing was changed."
            )
        worst = max(worst, apart)
    return worst


def example_for(model: nn.Module, example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the example's arguments on the device and in the type of the model's parameters."""
    reference = next(model.parameters(), torch.empty(0))

    def placed(each: Any) -> Any:
        if not isinstance(each, Tensor):
            return each
        return each.to(reference.device, reference.dtype if each.is_floating_point() else None)

    positional, named = arguments(example)
    return tree_map(placed, positional), tree_map(placed, named)


def _tensors(outputs: Any) -> list[Tensor]:
    found = [each for each in tree_leaves(outputs) if isinstance(each, Tensor)]
    found = [torch.view_as_real(each) if each.is_complex() else each for each in found]
    found = [each if each.layout == torch.strided else each.to_dense() for each in found]
    return [each.double() if not each.is_floating_point() else each for each in found]


def _check_comparable(model: nn.Module, outputs: list[Tensor]) -> None:
    """Refuse outputs that say nothing.

    Raises:
        InvalidArgument: they are empty, have no values, or are not finite.
    """
    without = "; pass `verify=False` to cut without comparing"
    if outputs and all(each.is_meta or not each.numel() for each in outputs):
        what = (
            "has no values, being on the meta device" if outputs[0].is_meta else "gives no outputs"
        )
        raise InvalidArgument(f"The model {what}, so that the cut cannot be checked{without}.")
    if all(bool(each.isfinite().all()) for each in outputs):
        return
    broken = [
        name
        for name, each in tensors_of(model).items()
        if each.is_floating_point() and not bool(each.isfinite().all())
    ]
    because = (
        f"`{broken[0]}` holds values that are not"
        if broken
        else "an operator has no value at zero, as a division by a unit or its logarithm"
    )
    because += "".join(
        f" (`{name}` is parametrised with {which})"
        for name, which in parametrisations(model).items()
    )
    raise InvalidArgument(
        f"The outputs of the masked model are not finite, since {because}; the cut cannot be checked{without}."
    )


def _kept_where_it_matters(units: Units, mask: Mask) -> dict[int, Tensor]:
    """Return, by operator, which elements are kept of what a statistic is computed over."""
    roots = [units[name].roots[mask.removed_index(name)] for name in mask.kept]
    gone = torch.cat(roots) if roots else torch.empty(0, dtype=torch.int64)
    touched: dict[int, Tensor] = {}
    for each in units.statistics:
        removed = torch.isin(each.ids, gone)
        touched[each.order] = touched.get(each.order, torch.zeros((), dtype=torch.bool)) | removed
    return {order: ~each for order, each in touched.items() if bool(each.any())}


@final
class _WithKeptStatistics(nn.Module):
    """A masked model whose normalisations take their statistics over the units that are kept."""

    def __init__(self, model: nn.Module, kept: dict[int, Tensor]) -> None:
        super().__init__()
        self.model = model
        self._kept = kept

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Run the model, operator by operator as it was traced."""
        with torch.no_grad(), plain_kernels(self.model), _KeptStatistics(self._kept):
            return self.model(*inputs, **named)


@final
class _KeptStatistics(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, kept: dict[int, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._kept = kept
        self._order = 0

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self._order += 1
        kept = self._kept.get(self._order)
        if kept is None:
            return operator(*args, **(kwargs or {}))
        name = operator._schema.name.removeprefix("aten::")
        return STATISTICS[name](kept.to(args[0].device), *args, **(kwargs or {}))


def _moments(x: Tensor, kept: Tensor, axes: list[int]) -> tuple[Tensor, Tensor]:
    weights = kept.expand(x.shape).to(x.dtype)
    count = weights.sum(axes, keepdim=True)
    mean = (x * weights).sum(axes, keepdim=True) / count
    return mean, ((x - mean).square() * weights).sum(axes, keepdim=True) / count


def _layer_norm(
    kept: Tensor, x: Tensor, shape: list[int], weight: Any, bias: Any, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    mean, variance = _moments(x, kept, list(range(x.dim() - len(shape), x.dim())))
    scale = (variance + eps).rsqrt()
    value = (x - mean) * scale
    if weight is not None:
        value = value * weight
    value = value if bias is None else value + bias
    return (
        value.contiguous(),
        mean,
        scale,
    )  # laid out as the operator's own result, so that the run goes on alike


def _group_norm(
    kept: Tensor,
    x: Tensor,
    weight: Any,
    bias: Any,
    n: int,
    c: int,
    hw: int,
    groups: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    blocks = x.reshape(n, groups, -1)
    mean, variance = _moments(blocks, kept.expand(x.shape).reshape(n, groups, -1), [2])
    scale = (variance + eps).rsqrt()
    value = ((blocks - mean) * scale).reshape(x.shape)
    shape = (1, c) + (1,) * (x.dim() - 2)
    if weight is not None:
        value = value * weight.view(shape)
    return value if bias is None else value + bias.view(shape), mean[..., 0], scale[..., 0]


def _mean(kept: Tensor, x: Tensor, axes: Any = None, keepdim: bool = False, **_: Any) -> Tensor:
    chosen = list(range(x.dim())) if axes is None else [axis % x.dim() for axis in axes]
    mean, _variance = _moments(x, kept, chosen)
    return mean if keepdim else mean.squeeze(chosen)


STATISTICS: dict[str, Callable[..., Any]] = {
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    "mean": _mean,
}
