"""`StandIns`: how the units that are left take over what removed ones did."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class StandIns:
    """Each removed unit of one layer as a weighted sum of the kept ones, and a constant."""

    coefficients: Float[Tensor, "removed kept"]
    """By how much each kept unit stands in for each removed one, both in the order of the layer."""
    constants: Float[Tensor, " removed"] | None = None
    """What a removed unit emits besides, whatever the input; None is nothing."""
    residuals: Float[Tensor, " removed"] | None = None
    """What is not taken over, as a fraction of the root mean square of each unit, where that was measured."""

    def check(self, layer: str, removed: int, kept: int) -> None:
        """Refuse coefficients of another mask.

        Raises:
            InvalidArgument: their shapes do not fit, or they are not finite.
        """
        expected = (removed, kept)
        constants = torch.zeros(removed) if self.constants is None else self.constants
        if tuple(self.coefficients.shape) != expected or constants.shape != (removed,):
            raise InvalidArgument(
                f"The mask removes {removed} units of `{layer}` and keeps {kept}, so `coefficients` has to have shape"
                f" {expected} and `constants` {(removed,)}; they have {tuple(self.coefficients.shape)} and"
                f" {tuple(constants.shape)}."
            )
        if not bool(self.coefficients.isfinite().all() and constants.isfinite().all()):
            raise InvalidArgument(
                f"`coefficients` or `constants` of the stand-ins of `{layer}` are not finite: the units or the data to"
                " which they were fitted are not, either."
            )
