"""Groups: the units of one layer, and every slice of every tensor that goes with each of them."""

from dataclasses import dataclass, field, replace
from typing import Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from surplus.units.places import Place

Kind = Literal["neuron", "filter", "head", "embedding feature"]


@final
@dataclass(frozen=True, eq=False)
class Slot:
    """Where the units of a group sit in one tensor: unit i owns the positions `index[i]` along `axis`."""

    tensor: str
    """The name in the model: a parameter or a buffer."""
    axis: int
    index: Int[Tensor, "units width"]

    def vectors(self, tensor: Float[Tensor, "..."]) -> Float[Tensor, "units slice"]:
        """Return each unit's slice of the tensor, flattened."""
        units, width = self.index.shape
        positions = self.index.reshape(-1)
        chosen = tensor
        if not torch.equal(positions, torch.arange(tensor.shape[self.axis])):
            chosen = tensor.index_select(self.axis, positions.to(tensor.device))
        moved = chosen.movedim(self.axis, 0)
        return moved.reshape(units, width * moved[0].numel())

    def slab(self, vectors: Float[Tensor, "_ slice"], shape: torch.Size) -> Float[Tensor, "..."]:
        """Return units' slices, as `vectors` gives them, side by side along `axis` as in a tensor of that shape."""
        other = [length for axis, length in enumerate(shape) if axis != self.axis]
        return vectors.reshape(len(vectors) * self.index.shape[1], *other).movedim(0, self.axis)

    def width(self, shape: torch.Size) -> int:
        """Return how many weights of a tensor of a shape belong to each unit."""
        return self.index.shape[1] * (shape.numel() // shape[self.axis])

    def positions(self, chosen: Int[Tensor, " chosen"]) -> Int[Tensor, " positions"]:
        """Return the positions along `axis` that the chosen units own, in order."""
        return self.index[chosen].reshape(-1).sort().values


@final
@dataclass(frozen=True, eq=False)
class Constraint:
    """A rule on what may go together: as many units must be taken from each of equal blocks."""

    blocks: Int[Tensor, "blocks block_size"]
    """The units of each block."""
    reason: str


@final
@dataclass(frozen=True, eq=False)
class Tap:
    """Where units can be seen: the output of one operator of a run, along one axis."""

    place: Place
    """Which operator."""
    axis: int
    index: Int[Tensor, "units width"]
    """The positions of each unit along the axis."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """The units of one layer.

    A unit is all its slots: its incoming weights, what it carries along (bias, normalisation), its outgoing weights.
    """

    name: str
    """The layer's name in the model; with its positions where a layer computes several groups."""
    kind: Kind
    size: int
    """How many units there are."""
    incoming: tuple[Slot, ...]
    """The weights that compute the unit."""
    carried: tuple[Slot, ...] = ()
    """What belongs to the unit besides: bias, scale and shift, running statistics."""
    outgoing: tuple[Slot, ...] = ()
    """The weights that read the unit."""
    constraints: tuple[Constraint, ...] = ()
    protected: str | None = None
    """Why these units cannot be removed, or None if they can."""
    coupled: str | None = None
    """The normalisation whose statistics the units share, if any: then a cut is not equal to plain zeroing."""
    met: str | None = None
    """The operator that adds the units up without weights, if any: then new ones change what it gives."""
    tap: Tap | None = None
    """Where the units' activations can be seen, after their activation function."""
    roots: Int[Tensor, " units"] = field(
        default_factory=lambda: torch.empty(0, dtype=torch.int64), repr=False
    )
    """The number of each unit in the trace."""

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Every slice that must go with a unit."""
        return self.incoming + self.carried + self.outgoing

    def renamed(self, name: str) -> "Group":
        """Return the group under another name."""
        return replace(self, name=name)


def every(size: int, width: int = 1) -> Int[Tensor, "units width"]:
    """Return the index map of units that own `width` neighbouring positions each.

    Example:
        >>> every(3, 2).tolist()
        [[0, 1], [2, 3], [4, 5]]
    """
    return torch.arange(size * width).view(size, width)
