"""What a step of `Edits` records: enough to repeat it on the shapes of another model, and to say what went where."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, final, get_args

from surplus.base import InvalidArgument
from surplus.edits.intervals import Intervals, check_intervals, num_positions

Verb = Literal["cut", "merge", "grow", "split"]
LayerKind = Literal["linear", "conv1d", "conv2d", "conv3d"]
ActivationKind = Literal["relu", "none"]


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """One axis of one tensor at its two sizes, with the positions in the larger that the smaller has."""

    tensor: str
    axis: int
    size: int
    """The length of the axis of the larger."""
    kept: Intervals

    def __post_init__(self) -> None:
        check_intervals(self.kept, self.size)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """The units of a layer at its two sizes, with the index in the larger of those that the smaller has."""

    layer: str
    size: int
    """The number of units of the larger."""
    kept: Intervals

    def __post_init__(self) -> None:
        check_intervals(self.kept, self.size)

    @property
    def num_kept(self) -> int:
        """How many units the smaller has."""
        return num_positions(self.kept)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """An integer of a module that counts units, before and after."""

    module: str
    name: str
    place: int | None
    """Where it stands, in a tuple or list."""
    before: int
    after: int


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Renumbered:
    """A tensor whose values are positions of an axis, with the positions in the larger that the smaller has."""

    tensor: str
    size: int
    """The length of the axis of the larger."""
    kept: Intervals

    def __post_init__(self) -> None:
        check_intervals(self.kept, self.size)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Resize:
    """Units removed or added: the units, and every slice of every tensor that goes with them."""

    verb: Verb
    units: tuple[Kept, ...]
    slices: tuple[Slice, ...]
    integers: tuple[Count, ...] = ()
    numbers: tuple[Renumbered, ...] = ()
    difference: float | None = None
    """The largest absolute difference between the outputs and those expected, on the example."""

    @property
    def grows(self) -> bool:
        """Whether the model becomes the larger of the two."""
        return self.verb in ("grow", "split")

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of the tensors that change."""
        names = [each.tensor for each in self.slices] + [each.tensor for each in self.numbers]
        return tuple(dict.fromkeys(names))

    def of(self, tensor: str) -> Iterator[Slice]:
        """Yield the slices of one tensor."""
        return (each for each in self.slices if each.tensor == tensor)

    def backwards(self) -> "Resize":
        """Return the step that leads back."""
        integers = tuple(replace(c, before=c.after, after=c.before) for c in self.integers)
        verb: Verb = "cut" if self.grows else "grow"
        return replace(self, verb=verb, integers=integers, difference=None)

    def to_json(self) -> dict[str, Any]:
        """Return the step as JSON data."""
        parts = ("units", "slices", "integers", "numbers")
        lists = {name: [_plain(each) for each in getattr(self, name)] for name in parts}
        return {"kind": self.verb, **lists, "difference": self.difference}

    @classmethod
    def from_json(cls, data: Any) -> "Resize":
        """Rebuild the step from what `to_json` returned."""
        units = tuple(
            Kept(
                layer=_text(each["layer"]),
                size=_integer(each["size"]),
                kept=_intervals(each["kept"]),
            )
            for each in data["units"]
        )
        slices = tuple(
            Slice(
                tensor=_text(each["tensor"]),
                axis=_integer(each["axis"]),
                size=_integer(each["size"]),
                kept=_intervals(each["kept"]),
            )
            for each in data["slices"]
        )
        integers = tuple(
            Count(
                module=_text(each["module"]),
                name=_text(each["name"]),
                place=None if each["place"] is None else _integer(each["place"]),
                before=_integer(each["before"]),
                after=_integer(each["after"]),
            )
            for each in data.get("integers", [])
        )
        numbers = tuple(
            Renumbered(
                tensor=_text(each["tensor"]),
                size=_integer(each["size"]),
                kept=_intervals(each["kept"]),
            )
            for each in data.get("numbers", [])
        )
        return cls(
            verb=_one_of(Verb, data["kind"]),
            units=units,
            slices=slices,
            integers=integers,
            numbers=numbers,
            difference=_number(data["difference"]),
        )


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Factorisation:
    """A layer replaced by two that are narrow between them."""

    module: str
    rank: int
    """The width between the two."""
    difference: float | None = None
    """The largest absolute difference between the outputs before and after, on the example."""

    def to_json(self) -> dict[str, Any]:
        """Return the step as JSON data."""
        return {
            "kind": "factorise",
            "module": self.module,
            "rank": self.rank,
            "difference": self.difference,
        }

    @classmethod
    def from_json(cls, data: Any) -> "Factorisation":
        """Rebuild the step from what `to_json` returned."""
        return cls(
            module=_text(data["module"]),
            rank=_integer(data["rank"]),
            difference=_number(data["difference"]),
        )


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Insertion:
    """A new layer that runs after a module of the model."""

    after: str
    layer: LayerKind
    width: int
    """How many units the layer has, as many as it reads."""
    kernel_size: int = 1
    activation: ActivationKind = "none"
    """What follows the layer."""
    difference: float | None = None
    """The largest absolute difference between the outputs before and after, on the example."""

    def __post_init__(self) -> None:
        most = 1 if self.layer == "linear" else self.kernel_size
        if self.width < 1 or self.kernel_size % 2 == 0 or not 1 <= self.kernel_size <= most:
            raise InvalidArgument(
                f"A {self.layer} layer of width {self.width} with `kernel_size` {self.kernel_size} cannot be inserted:"
                " the width is at least 1, and a kernel odd, so that it has a middle; that of a linear layer is 1."
            )

    def to_json(self) -> dict[str, Any]:
        """Return the step as JSON data."""
        return {
            "kind": "insert",
            "after": self.after,
            "layer": self.layer,
            "width": self.width,
            "kernel_size": self.kernel_size,
            "activation": self.activation,
            "difference": self.difference,
        }

    @classmethod
    def from_json(cls, data: Any) -> "Insertion":
        """Rebuild the step from what `to_json` returned."""
        return cls(
            after=_text(data["after"]),
            layer=_one_of(LayerKind, data["layer"]),
            width=_integer(data["width"]),
            kernel_size=_integer(data["kernel_size"]),
            activation=_one_of(ActivationKind, data["activation"]),
            difference=_number(data["difference"]),
        )


Step = Resize | Factorisation | Insertion


def step_from_json(data: Any) -> Step:
    """Rebuild a step of any kind from its JSON data."""
    kind = data["kind"]
    if kind in get_args(Verb):
        return Resize.from_json(data)
    if kind == "factorise":
        return Factorisation.from_json(data)
    if kind == "insert":
        return Insertion.from_json(data)
    raise ValueError(f"an edit of kind {kind!r}")


def _plain(part: Slice | Kept | Count | Renumbered) -> dict[str, Any]:
    """Return a part of a step as JSON data, which has lists where there are tuples."""
    data = asdict(part)
    return data | {"kept": [list(each) for each in data["kept"]]} if "kept" in data else data


def _one_of(choices: Any, word: Any) -> Any:
    if word not in get_args(choices):
        raise ValueError(f"{word!r} where one of {get_args(choices)} belongs")
    return word


def _integer(data: Any) -> int:
    if isinstance(data, bool) or not isinstance(data, int):
        raise TypeError(f"{data!r} where an integer belongs")
    return data


def _text(data: Any) -> str:
    if not isinstance(data, str):
        raise TypeError(f"{data!r} where a name belongs")
    return data


def _number(data: Any) -> float | None:
    return None if data is None else float(data)


def _intervals(data: Any) -> Intervals:
    return tuple((_integer(start), _integer(end)) for start, end in data)
