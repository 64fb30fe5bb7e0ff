"""`NewUnits`: the weights of units that are to be added to a layer."""

from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument
from surplus.units import Group


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class NewUnits:
    """The weights of new units of one layer, one row per unit; what is not given is zero.

    Rows are laid out as `Units.weight_vectors` and `Units.outgoing` return those of the units that are there.
    """

    incoming: Float[Tensor, "new fan_in"] | None = None
    """The weights that compute them."""
    outgoing: Float[Tensor, "new fan_out"] | None = None
    """The weights that read them."""
    carried: Float[Tensor, "new carried"] | None = None
    """What belongs to them besides, laid out as `Units.carried` returns it. Without it a bias, a shift and a running
    mean are 0, a running variance is 1, and anything else the mean of the units that are there."""

    @property
    def count(self) -> int:
        """How many units they are."""
        given = [each for each in (self.incoming, self.outgoing, self.carried) if each is not None]
        return len(given[0]) if given and given[0].dim() else 0

    @property
    def empty(self) -> bool:
        """Whether nothing goes in and nothing comes out."""
        return not any(each is not None and each.any() for each in (self.incoming, self.outgoing))

    @property
    def silent(self) -> bool:
        """Whether nothing goes in or nothing comes out."""
        return any(each is None or not each.any() for each in (self.incoming, self.outgoing))

    def check(self, group: Group, widths: dict[str, int]) -> None:
        """Refuse rows that do not fit a layer.

        Args:
            group: The layer.
            widths: How many weights a unit of it has, for each of the three.

        Raises:
            InvalidArgument: there are none, or a tensor is of another shape or not finite.
        """
        if not self.count:
            raise InvalidArgument(
                f"No new units of `{group.name}` are given: pass `incoming`, `outgoing`, or both, with a row for each."
            )
        for name, width in widths.items():
            rows = getattr(self, name)
            if rows is not None and tuple(rows.shape) != (self.count, width):
                raise InvalidArgument(
                    f"`{name}` of the new units of `{group.name}` has shape {tuple(rows.shape)}; it needs"
                    f" {(self.count, width)}: a row for each of {self.count} new units, laid out as"
                    f" `units.{_LIKE[name]}({group.name!r})`."
                )
            if rows is not None and not bool(rows.isfinite().all()):
                raise InvalidArgument(
                    f"`{name}` of the new units of `{group.name}` holds values that are not finite."
                )


_LIKE = {"incoming": "weight_vectors", "outgoing": "outgoing", "carried": "carried"}
