"""`Scores`: one value per unit or weight; higher is more worth keeping."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument
from surplus.masks.mask import Over
from surplus.units import Units


@final
@dataclass(frozen=True, eq=False)
class Scores:
    """What a criterion says of each unit (by group) or weight (by parameter): higher = keep."""

    values: dict[str, Float[Tensor, "..."]]
    over: Over
    units: Units | None = field(default=None, repr=False)
    by: str = ""
    """The criterion, as it prints."""

    def __post_init__(self) -> None:
        for name, values in self.values.items():
            if torch.isnan(values).any():
                count = int(torch.isnan(values).sum())
                raise InvalidArgument(
                    f"{self.by or 'The criterion'} gave NaN for {count} of {values.numel()} elements of `{name}`."
                    " Does the model hold NaN weights, or do the data?"
                )

    def map(self, change: Callable[[Tensor], Tensor]) -> "Scores":
        """Return the scores with a function applied to each tensor."""
        values = {name: change(each) for name, each in self.values.items()}
        return Scores(values, self.over, self.units, self.by)
