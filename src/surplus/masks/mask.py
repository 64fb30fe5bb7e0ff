"""The `Mask`: what is kept, as one Boolean tensor per name, with the algebra of sets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, final

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from surplus.base import InvalidArgument, canonical
from surplus.units import Units

Over = Literal["units", "weights"]


@final
@dataclass(frozen=True, eq=False)
class Mask:
    """Which units (by group) or weights (by parameter) are kept: True is kept.

    `a & b` keeps what both keep, `a | b` what either keeps, `~a` what `a` removes.

    Example:
        >>> mask = Mask({"fc1": torch.tensor([True, False, True, True])}, over="units")
        >>> mask.sparsity, (~mask).sparsity, (mask & ~mask).num_kept
        (0.25, 0.75, 0)
    """

    kept: dict[str, Bool[Tensor, "..."]]
    over: Over
    units: Units | None = field(default=None, repr=False)
    """The units that a mask over units speaks of; None until it is bound to a model."""

    def __post_init__(self) -> None:
        check_over(self.over)
        for name, kept in self.kept.items():
            if kept.dtype != torch.bool:
                raise InvalidArgument(
                    f"The mask of `{name}` is of type {kept.dtype}; it must be Boolean."
                )
        if self.units is not None:
            _check_fit(self.kept, self.units)

    @classmethod
    def full(cls, units: Units, layers: tuple[str, ...] | None = None) -> "Mask":
        """Return the mask that keeps every unit of the named layers (default: all that can be removed)."""
        names = layers or tuple(group.name for group in units.removable())
        kept = {name: torch.ones(units.chosen(name).size, dtype=torch.bool) for name in names}
        return cls(kept, "units", units)

    @property
    def num_kept(self) -> int:
        """How many elements are kept."""
        return sum(int(kept.sum()) for kept in self.kept.values())

    @property
    def size(self) -> int:
        """How many elements the mask speaks of."""
        return sum(kept.numel() for kept in self.kept.values())

    @property
    def density(self) -> float:
        """The fraction kept."""
        return self.num_kept / self.size if self.size else 1.0

    @property
    def sparsity(self) -> float:
        """The fraction removed."""
        return 1 - self.density

    def kept_index(self, name: str) -> Int[Tensor, " kept"]:
        """Return the positions that are kept in one group."""
        return self.kept[name].nonzero()[:, 0]

    def removed_index(self, name: str) -> Int[Tensor, " removed"]:
        """Return the positions that are removed from one group."""
        return (~self.kept[name]).nonzero()[:, 0]

    def removed_roots(self) -> Int[Tensor, " removed"]:
        """Return the numbers in the trace of all units that are removed.

        Raises:
            InvalidArgument: the mask is over weights or not bound.
        """
        units = self._bound()
        roots = [units[name].roots[self.removed_index(name)] for name in self.kept]
        return torch.cat([torch.empty(0, dtype=torch.int64), *roots])

    def checked_units(self) -> Units:
        """Return the units that the mask is bound to, for structural edits.

        Raises:
            InvalidArgument: the mask is over weights or not bound, or empties a layer.
        """
        units = self._bound()
        for name, kept in self.kept.items():
            if not kept.any():
                raise InvalidArgument(
                    f"The mask removes all {kept.numel()} units of `{name}`; keep at least one,"
                    " since a network with an empty layer computes nothing."
                )
        return units

    def bind(self, units: Units) -> "Mask":
        """Return the mask with the units of a model that it is to be used on.

        Raises:
            InvalidArgument: the mask speaks of a layer that the model does not have, or of another number of units.
        """
        return Mask(self.kept, self.over, units)

    def __and__(self, other: "Mask") -> "Mask":
        pairs = self._paired(other)
        return self._like({name: mine & theirs for name, (mine, theirs) in pairs.items()}, other)

    def __or__(self, other: "Mask") -> "Mask":
        pairs = self._paired(other)
        return self._like({name: mine | theirs for name, (mine, theirs) in pairs.items()}, other)

    def __invert__(self) -> "Mask":
        return Mask({name: ~kept for name, kept in self.kept.items()}, self.over, self.units)

    def __le__(self, other: "Mask") -> bool:
        """Say whether `other` keeps everything that this mask keeps."""
        return all(bool((theirs | ~mine).all()) for mine, theirs in self._paired(other).values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mask) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(canonical(self.to_json()))

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {int(k.sum())}/{k.numel()}" for name, k in self.kept.items())
        return f"Mask({self.over}: {counts} kept)"

    def to_json(self) -> dict[str, Any]:
        """Return the mask as JSON data: shapes, and the bits as hexadecimal digits."""
        kept = {name: _pack(self.kept[name]) for name in sorted(self.kept)}
        return {"over": self.over, "kept": kept}

    @classmethod
    def from_json(cls, data: Any) -> "Mask":
        """Rebuild a mask from what `to_json` returned; `bind` gives it its units.

        Raises:
            InvalidArgument: the data is not that of a mask.
        """
        try:
            kept = {name: _unpack(entry) for name, entry in data["kept"].items()}
            over = data["over"]
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as broken:
            raise InvalidArgument(f"This is not the JSON form of a mask: {broken!r}.") from broken
        return cls(kept, over)

    def _bound(self) -> Units:
        if self.over == "weights":
            raise InvalidArgument(
                "`cut` needs a mask over units: removing single weights leaves every tensor at its size."
            )
        if self.units is None:
            raise InvalidArgument(
                "This mask was not bound to a model: use `mask.bind(find_units(model, example))`."
            )
        return self.units

    def _paired(self, other: "Mask") -> dict[str, tuple[Tensor, Tensor]]:
        """Pair the tensors of both masks; what a mask does not speak of, it keeps whole."""
        if self.over != other.over:
            raise InvalidArgument(
                f"A mask over {self.over} does not combine with one over {other.over}."
            )
        pairs = {}
        for name, some in {**self.kept, **other.kept}.items():
            mine = self.kept.get(name, torch.ones_like(some))
            theirs = other.kept.get(name, torch.ones_like(some))
            if mine.shape != theirs.shape:
                raise InvalidArgument(
                    f"The masks differ in shape at `{name}`: {tuple(mine.shape)} and {tuple(theirs.shape)}."
                    " They belong to different models."
                )
            pairs[name] = (mine, theirs)
        return pairs

    def _like(self, kept: dict[str, Tensor], other: "Mask") -> "Mask":
        return Mask(kept, self.over, self.units if self.units is not None else other.units)


def check_over(over: str) -> None:
    """Refuse anything but units and weights."""
    if over not in ("units", "weights"):
        raise InvalidArgument(f'`over` is {over!r}; it must be "units" or "weights".')


def _check_fit(kept: Mapping[str, Tensor], units: Units) -> None:
    for name, each in kept.items():
        size = units[name].size
        if each.shape != (size,):
            raise InvalidArgument(
                f"The mask of `{name}` has shape {tuple(each.shape)}, but the layer has {size} units:"
                " the mask belongs to another model."
            )


def _pack(kept: Bool[Tensor, "..."]) -> dict[str, Any]:
    import numpy as np

    bits = np.packbits(kept.cpu().numpy().reshape(-1))
    return {"shape": list(kept.shape), "bits": bits.tobytes().hex()}


def _unpack(entry: Mapping[str, Any]) -> Bool[Tensor, "..."]:
    import numpy as np

    shape = torch.Size(entry["shape"])
    packed = np.frombuffer(bytes.fromhex(entry["bits"]), dtype=np.uint8)
    if len(packed) != (shape.numel() + 7) // 8:
        raise ValueError(f"{len(packed)} bytes of bits for shape {tuple(shape)}")
    bits = np.unpackbits(packed, count=shape.numel())
    return torch.from_numpy(bits.astype(bool)).view(shape)
