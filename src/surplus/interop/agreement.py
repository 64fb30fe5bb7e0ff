"""Agreement: does what was exported compute what the model computes?"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from surplus.base import SurplusError

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
"""How far outputs may lie apart, as a share of the largest; those of other types, being coarser, by 1e-2."""


class NotExported(SurplusError):
    """A model that could not be exported, or whose exported form computes something else; nothing was written."""


class Inexpressible(NotExported):
    """Something that a form of export has no word for, whatever the size of the batch."""


class Distance(NamedTuple):
    """How far two tensors lie apart."""

    absolute: float
    """The largest absolute difference."""
    size: float
    """The largest absolute value of the first."""
    tolerance: float
    """The share of the size that is rounding."""

    @property
    def is_rounding(self) -> bool:
        """Whether the two are the same but for rounding."""
        return self.absolute <= self.tolerance * max(1.0, self.size)


def distance(one: Tensor, other: Tensor) -> Distance:
    """Return how far two tensors of one shape lie apart."""
    tolerance = TOLERANCE.get(one.dtype, 1e-2)
    one, other = _plain(one), _plain(other)
    same = one == other  # infinities, too
    if bool(same.all()):
        return Distance(0.0, 0.0, tolerance)
    absolute = (one - other).abs().masked_fill(same, 0.0).max()
    size = one.masked_fill(one.isinf(), 0.0).abs().max()
    return Distance(float(absolute), float(size), tolerance)


def check_agreement(expected: Any, found: list[Tensor]) -> float:
    """Return the largest absolute difference between a model's outputs and those of its exported form.

    Raises:
        NotExported: they differ by more than rounding.
    """
    wanted = tensors_in(expected)
    shapes, others = ([tuple(_plain(each).shape) for each in some] for some in (wanted, found))
    if shapes != others:
        raise NotExported(
            f"The model returns tensors of shape {_joined(shapes)}, its exported form {_joined(others)}; nothing was"
            " written."
        )
    if any(bool(_plain(each).isnan().any()) for each in wanted):
        raise NotExported(
            "The model returns NaN on the example, so that nothing can be compared; nothing was written."
        )
    apart = [distance(one, other) for one, other in zip(wanted, found, strict=True)]
    for each in apart:
        if not each.is_rounding:
            raise NotExported(
                f"What was exported differs from the model by up to {each.absolute:.3g} on the example, where outputs"
                f" go up to {each.size:.3g}; nothing was written. A model that draws random numbers or decides by"
                " values does that."
            )
    return max((each.absolute for each in apart), default=0.0)


def tensors_in(outputs: Any) -> list[Tensor]:
    """Return the tensors among what a model takes or returns, in order."""
    return [each for each in tree_leaves(outputs) if isinstance(each, Tensor)]


def _plain(tensor: Tensor) -> Tensor:
    """Return the values in double precision, complex numbers as pairs."""
    tensor = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    return tensor.detach().cpu().double()


def _joined(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes)) or "none at all"
