"""`Scores`: one value per unit or weight; higher is more worth keeping."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument
from surplus.masks.mask import Over, check_over
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
        check_over(self.over)
        for name, values in self.values.items():
            check_numbers(values, self.by or "The criterion", name)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Scores":
        """Return the scores with a function applied to each tensor."""
        values = {name: change(each) for name, each in self.values.items()}
        return Scores(values, self.over, self.units, self.by)

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON data: shapes and values; infinite ones as text."""
        values = {
            name: {
                "shape": list(each.shape),
                "values": [_number(v) for v in each.reshape(-1).tolist()],
            }
            for name, each in sorted(self.values.items())
        }
        return {"over": self.over, "by": self.by, "values": values}

    @classmethod
    def from_json(cls, data: Any) -> "Scores":
        """Rebuild scores, in double precision, from what `to_json` returned; they are bound to no units.

        Raises:
            InvalidArgument: the data are not those of scores.
        """
        try:
            over, by = data["over"], data["by"]
            values = {
                name: torch.tensor([float(v) for v in each["values"]], dtype=torch.float64).view(
                    each["shape"]
                )
                for name, each in data["values"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as broken:
            raise InvalidArgument(f"This is not the JSON form of scores: {broken!r}.") from broken
        return cls(values, over, None, by)


def check_numbers(values: Float[Tensor, "..."], by: str, name: str) -> None:
    """Refuse scores that are not numbers: nothing can be ranked by them.

    Raises:
        InvalidArgument: there are NaNs.
    """
    if torch.isnan(values).any():
        count = int(torch.isnan(values).sum())
        raise InvalidArgument(
            f"{by} gave NaN for {count} of {values.numel()} elements of `{name}`."
            " Does the model hold NaN weights, or do the data?"
        )


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
