"""Verifying: does an edited model compute what it should?"""

import math
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from surplus.base import InvalidArgument, SurplusError
from surplus.edits.locating import where_apart
from surplus.masks import Mask, enforce
from surplus.units import (
    Place,
    Places,
    Units,
    arguments,
    evaluating,
    left_as_found,
    parametrisations,
    plain_kernels,
    tensors_of,
)

REPORT = " Please report this with the model; nothing was changed."
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}


class NotEqual(SurplusError):
    """An edited model that does not compute what it should: a cut one what the masked one does, any other the same."""


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
def difference(
    reference: nn.Module,
    edited: nn.Module,
    model: nn.Module,
    example: Any,
    words: tuple[str, str] = ("masked", "cut"),
    bounded: bool = True,
) -> float:
    """Return the largest absolute difference between the outputs of two models on the example.

    Args:
        reference: What should be computed.
        edited: What was made.
        model: The model that was edited.
        example: What they are called with.
        words: What the two are called in messages.
        bounded: Whether they have to be equal to rounding.

    Raises:
        NotEqual: they differ by more than rounding, or those of the edited model are not finite.
        InvalidArgument: the model itself does not run on the example, or gives nothing that can be compared.
    """
    outputs = []
    rounding = _Rounding()
    for each, word in zip((reference, edited), words, strict=True):
        with rounding:
            try:
                outputs.append(_run(each, model, example))
            except Exception as failed:
                if each is model:
                    raise InvalidArgument(
                        f"The model does not run on the example of these units: {failed}."
                        " Pass the units that were found on it."
                    ) from failed
                raise NotEqual(
                    f"The {word} model does not run on the example: {failed}."
                    f"{_where(reference, edited, model, example)}{REPORT}"
                ) from failed
    _check_comparable(model, outputs[0], example, words[0])
    worst = 0.0
    for one, other in zip(*outputs, strict=True):
        if one.shape != other.shape:
            raise NotEqual(
                f"The {words[1]} model's outputs have shape {tuple(other.shape)}, the {words[0]} model's"
                f" {tuple(one.shape)}.{_where(reference, edited, model, example)}{REPORT}"
            )
        if not one.numel():
            continue
        apart = float((one - other).abs().max())
        types = (one.dtype, *rounding.types)
        bound = max(TOLERANCE.get(each, 1e-2) for each in types) * max(1.0, float(one.abs().max()))
        if not apart <= (bound if bounded else math.inf) or apart == math.inf:
            raise NotEqual(
                f"The {words[1]} model's outputs differ from the {words[0]} model's by up to {apart:.3g}."
                f"{_where(reference, edited, model, example)}{REPORT}"
            )
        worst = max(worst, apart)
    return worst


def _where(reference: nn.Module, edited: nn.Module, model: nn.Module, example: Any) -> str:
    """Say at which operator two models part."""
    positional, named = example_for(model, example)
    held = "model" if isinstance(reference, _WithKeptStatistics) else ""
    return where_apart(reference, edited, positional, named, held)


def _run(runs: nn.Module, model: nn.Module, example: Any) -> list[Tensor]:
    """Return the outputs that one model gives in evaluation mode on another one's example, and leave it as it was."""
    positional, named = example_for(model, example)
    with evaluating(runs), left_as_found(runs):
        return _tensors(runs(*positional, **named))


def example_for(model: nn.Module, example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the example's arguments on the device and in the type of the model's parameters."""
    reference = next(model.parameters(), torch.empty(0))

    def placed(each: Any) -> Any:
        if not isinstance(each, Tensor):
            return each
        return each.to(reference.device, reference.dtype if each.is_floating_point() else None)

    positional, named = arguments(example)
    return tree_map(placed, positional), tree_map(placed, named)


@final
class _Rounding(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes to which types the model itself rounds longer numbers, as normalisations in float32 do."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.types: set[torch.dtype] = set()

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        outputs = operator(*args, **(kwargs or {}))
        given = [each.element_size() for each in _floating((args, kwargs))]
        self.types |= {
            e.dtype for e in _floating(outputs) if e.element_size() < max(given, default=0)
        }
        return outputs


def _floating(values: Any) -> list[Tensor]:
    tensors = (each for each in tree_leaves(values) if isinstance(each, Tensor))
    return [each for each in tensors if each.is_floating_point()]


def _tensors(outputs: Any) -> list[Tensor]:
    found = [each for each in tree_leaves(outputs) if isinstance(each, Tensor)]
    found = [torch.view_as_real(each) if each.is_complex() else each for each in found]
    found = [each if each.layout == torch.strided else each.to_dense() for each in found]
    return [each.double() if not each.is_floating_point() else each for each in found]


def _check_comparable(model: nn.Module, outputs: list[Tensor], example: Any, word: str) -> None:
    """Refuse outputs that say nothing.

    Raises:
        InvalidArgument: they are empty, have no values, or are not finite.
    """
    without = "; pass `verify=False` to edit without comparing"
    if outputs and all(each.is_meta or not each.numel() for each in outputs):
        what = (
            "has no values, being on the meta device" if outputs[0].is_meta else "gives no outputs"
        )
        raise InvalidArgument(f"The model {what}, so that the edit cannot be checked{without}.")
    if all(bool(each.isfinite().all()) for each in outputs):
        return
    broken = [
        name
        for name, each in tensors_of(model).items()
        if each.is_floating_point() and not bool(each.isfinite().all())
    ]
    if broken:
        because = f"`{broken[0]}` holds values that are not"
    elif not all(bool(each.isfinite().all()) for each in _run(model, model, example)):
        because = "those of the model itself are not on this example"
    else:
        because = "an operator has no value at zero, as a division by a unit or its logarithm"
    because += "".join(
        f" (`{name}` is parametrised with {which})"
        for name, which in parametrisations(model).items()
    )
    raise InvalidArgument(
        f"The outputs of the {word} model are not finite, since {because}; the edit cannot be checked{without}."
    )


def _kept_where_it_matters(units: Units, mask: Mask) -> dict[Place, Tensor]:
    """Return, by operator, which elements are kept of what a statistic is computed over."""
    gone = mask.removed_roots()
    touched: dict[Place, Tensor] = {}
    for each in units.statistics:
        removed = torch.isin(each.ids, gone)
        touched[each.place] = touched.get(each.place, torch.zeros((), dtype=torch.bool)) | removed
    return {place: ~each for place, each in touched.items() if bool(each.any())}


@final
class _WithKeptStatistics(nn.Module):
    """A masked model whose normalisations take their statistics over the units that are kept."""

    def __init__(self, model: nn.Module, kept: dict[Place, Tensor]) -> None:
        super().__init__()
        self.model = model
        self._kept = kept

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Run the model, operator by operator as it was traced."""
        places = Places()
        with (
            torch.no_grad(),
            plain_kernels(self.model),
            places.watching(self.model),
            _KeptStatistics(self._kept, places),
        ):
            return self.model(*inputs, **named)


@final
class _KeptStatistics(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, kept: dict[Place, Tensor], places: Places) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._kept = kept
        self._places = places

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kept = self._kept.get(self._places.next(operator))
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
    # Laid out as the operator's own result, so that the run goes on alike.
    return value.contiguous(), mean, scale


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
