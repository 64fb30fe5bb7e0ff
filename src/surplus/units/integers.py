"""The user's own integers: which sizes in a run come from attributes of modules, such as `num_heads`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves

from surplus.units.calling import called_by_torch
from surplus.units.flow import Dimension, Flow, Integer, Lookup

SIZED = {
    "view", "reshape", "expand", "expand_as", "unflatten", "broadcast_to", "zeros", "ones", "empty", "full", "repeat",
    "new_zeros", "new_ones", "new_empty", "new_full", "rand", "randn",
}  # fmt: skip
"""Functions that take the sizes of what they return."""
REPEATING = ("expand", "expand_as", "broadcast_to")
OPAQUE = {
    "numpy",
    "__array__",
    "__dlpack__",
    "tolist",
    "as_strided",
    "meshgrid",
    "cartesian_prod",
    "block_diag",
}
"""Functions whose results do not show what they were made of."""
SHAPE: Any = vars(torch._C.TensorBase)["shape"].__get__


@final
class Noted(int):
    """An integer that remembers where it came from; what is computed from it only that it was computed."""

    source: Integer | Dimension | None
    parts: tuple[tuple[Integer, int], ...]
    """The attributes that it is a sum of, with their values."""
    formula: Callable[[Lookup], int]
    """How it follows from what it was computed from."""
    origins: tuple[Integer | Dimension, ...]
    """All that it was computed from."""
    flow: Flow
    """Where to note what becomes of it."""

    def __new__(cls, value: int, source: Integer | Dimension | None, flow: Flow) -> "Noted":
        """Wrap a value."""
        noted = super().__new__(cls, value)
        noted.source = source
        noted.parts = ((source, value),) if isinstance(source, Integer) else ()
        noted.formula = partial(_looked_up, source, value)
        noted.origins = () if source is None else (source,)
        noted.flow = flow
        return noted

    def __float__(self) -> float:
        self.flow.computed += self.origins
        return float(int(self))

    __hash__ = int.__hash__


def _looked_up(source: Integer | Dimension | None, value: int, now: Lookup) -> int:
    found = None if source is None else now(source)
    return value if found is None else found


def _applied(operation: Any, operands: Sequence[Any], now: Lookup) -> int:
    return operation(*(each.formula(now) if isinstance(each, Noted) else each for each in operands))


def _computed(name: str) -> Any:
    operation = getattr(int, name)

    def operate(self: Noted, *others: Any) -> Any:
        if any(isinstance(each, float) for each in others):
            return getattr(float(self), name)(*others)
        value = operation(self, *others)
        if type(value) is not int:
            if isinstance(value, float):
                self.flow.computed += self.origins
            return value
        computed = Noted(value, None, self.flow)
        theirs = (each.origins for each in others if isinstance(each, Noted))
        computed.formula = partial(_applied, operation, (self, *others))
        computed.origins = sum(theirs, self.origins)
        if name == "__add__" and isinstance(others[0], Noted) and self.parts and others[0].parts:
            computed.parts = self.parts + others[0].parts
        return computed

    return operate


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    for _side in ("", "r"):
        setattr(Noted, f"__{_side}{_name}__", _computed(f"__{_side}{_name}__"))


def _compared(name: str) -> Any:
    operation = getattr(int, name)

    def operate(self: Noted, other: Any) -> Any:
        result = operation(self, other)
        theirs = other.origins if isinstance(other, Noted) else ()
        if result is not NotImplemented and not called_by_torch():
            formula = partial(_applied, operation, (self, other))
            self.flow.note_decision(formula, self.origins + theirs, result)
        return result

    return operate


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Noted, f"__{_name}__", _compared(f"__{_name}__"))


class _Replaced(NamedTuple):
    attributes: dict[str, Any]
    name: str
    original: Any


@contextmanager
def noted_integers(model: nn.Module, flow: Flow) -> Iterator[None]:
    """Let the integers of the user's modules remember where they come from, and watch where they are used as sizes."""
    replaced: list[_Replaced] = []
    try:
        for path, prefix, attributes in _holders(model):
            for name, value in list(attributes.items()):
                noted = _noted(value, path, prefix + name, flow)
                if noted is not None:
                    replaced.append(_Replaced(attributes, name, value))
                    attributes[name] = noted
        with _Watch(flow):
            yield
    finally:
        for attributes, name, original in replaced:
            attributes[name] = original


def _holders(model: nn.Module) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the attributes of the user's modules, and of the settings that these hold, with where they are."""
    seen: set[int] = set()
    for path, module in model.named_modules():
        if type(module).__module__.startswith("torch.nn.") and type(module) is not nn.Unflatten:
            continue  # their integers follow from the shapes of their tensors
        yield path, "", vars(module)
        for name, value in list(vars(module).items()):
            if is_settings(value) and id(value) not in seen:
                seen.add(id(value))
                yield path, f"{name}.", vars(value)


def is_settings(value: Any) -> bool:
    """Say whether an attribute of a module is an object that holds settings, as a configuration does."""
    if isinstance(value, nn.Module | Tensor | type) or callable(value):
        return False
    library = type(value).__module__.partition(".")[0]
    return hasattr(value, "__dict__") and library not in ("builtins", "collections", "torch")


def _noted(value: Any, path: str, name: str, flow: Flow) -> Any:
    if name.rpartition(".")[2].startswith("_"):
        return None
    if type(value) is int:
        return Noted(value, Integer(path, name, None), flow)
    if type(value) in (tuple, list) and value and all(type(each) is int for each in value):
        return type(value)(
            Noted(each, Integer(path, name, place), flow) for place, each in enumerate(value)
        )
    return None


@final
class _Watch(TorchFunctionMode):
    """Sees the arguments of functions of torch as the user's code gives them."""

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self._flow = flow

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        self._flow.operator = name
        with self._flow.guarded((args, kwargs)), _disable_current_modes():  # no part of the run
            self._before(name, args, kwargs)
        self._flow.divides_freely = _is_free(name, args, kwargs)
        try:
            result = function(*args, **kwargs)
        finally:
            self._flow.divides_freely = False
        if function == SHAPE or name in ("size", "numel"):
            return self._lengths(args, result)
        if name in SIZED and isinstance(result, Tensor):
            with self._flow.guarded(result), _disable_current_modes():
                bare = not self._flow.of(result).labels
                if name == "expand_as":
                    other = args[1] if len(args) > 1 else kwargs["other"]
                    args = (args[0], self._lengths([other], tuple(other.shape)))
                for axis, size in _sizes(name, args, kwargs, result.dim()):
                    repeats = _repeats(name, args, result, axis)
                    if name == "repeat" and not repeats:
                        continue  # not a size, but how often
                    given = size if isinstance(size, int) else int(size)  # or a tensor of one
                    self._note(given, result, axis, repeats and bare)
        return result

    def _before(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Note what the arguments of a function say about lengths."""
        flow = self._flow
        for size, tensor, axis, bound in _bounds(name, args, kwargs):
            if not isinstance(size, Noted):
                flow.note_length(
                    partial(_looked_up, None, bound[1] - bound[0]), (), tensor, axis, bound
                )
            elif isinstance(size.source, Integer):
                flow.note_bound(size.source, tensor, axis, bound)
            elif size.source is None:
                flow.note_length(size.formula, size.origins, tensor, axis, bound)
        if name == "scaled_dot_product_attention" and kwargs.get("scale") is None:
            query = args[0] if args else kwargs["query"]
            flow.computed.append(Dimension(flow.of(query).labels, query.dim() - 1))
        if name == "channel_shuffle":
            groups = args[1] if len(args) > 1 else kwargs["groups"]
            flow.note_blocks(args[0], 1, int(groups))
        if name in OPAQUE:
            for each in tree_leaves((args, kwargs)):
                flow.protect(flow.of(each), "they are used in a way that cannot be followed")

    def _note(self, size: int, result: Tensor, axis: int, repeats: bool) -> None:
        if not isinstance(size, Noted):
            if size != -1 and not (self._flow.of(result).wild and called_by_torch()):
                self._flow.note_size(size, result, axis)
        elif len(size.parts) > 1:
            self._flow.note_sum(size.parts, result, axis)
        elif size.source is not None and repeats:
            self._flow.note_constant(size.source, result, axis)
        elif size.source is not None:
            self._flow.note_size(size.source, result, axis)
        elif size.origins:
            bounds = (0, result.shape[axis])
            self._flow.note_length(size.formula, size.origins, result, axis, bounds)

    def _lengths(self, args: Sequence[Any], result: Any) -> Any:
        """Let lengths that the code reads from a tensor remember which axis they are of."""
        labels, flow = self._flow.of(args[0]).labels, self._flow
        if isinstance(result, tuple):
            noted = (Noted(each, Dimension(labels, axis), flow) for axis, each in enumerate(result))
            return torch.Size(noted)
        if len(args) > 1:
            return Noted(result, Dimension(labels, args[1] % args[0].dim()), flow)
        return Noted(result, None, flow)


def _sizes(
    name: str, args: Sequence[Any], kwargs: dict[str, Any], dim: int
) -> Iterator[tuple[int, Any]]:
    """Yield the axes of a result with the sizes that were asked for."""
    rest = list(args[1:]) if args and isinstance(args[0], Tensor) else list(args)
    first = 0
    if name == "unflatten":
        first = rest.pop(0) if rest else kwargs.get("dim", 0)
    if rest and isinstance(rest[0], tuple | list):
        rest = list(rest[0])
    elif not rest:
        rest = list(kwargs.get("size", kwargs.get("shape", kwargs.get("sizes", ()))))
    if name == "unflatten" and first < 0:
        first += dim - len(rest) + 1
    yield from enumerate(rest, start=first)


def _repeats(name: str, args: Sequence[Any], result: Tensor, axis: int) -> bool:
    """Say whether an axis of a result repeats what is there once, so that it is as long as was asked for."""
    if name not in (*REPEATING, "repeat") or result.shape[axis] == 1:
        return False
    own = axis - result.dim() + args[0].dim()
    return own < 0 or args[0].shape[own] == 1


def _bounds(
    name: str, args: Sequence[Any], kwargs: dict[str, Any]
) -> Iterator[tuple[int, Tensor, int, tuple[int, int]]]:
    """Yield each integer that says how many positions of a tensor's axis are taken, with these positions."""
    if not args or not isinstance(args[0], Tensor):
        return
    source = args[0]
    if name in ("__getitem__", "__setitem__"):
        yield from _slices(source, args[1])
    elif name in ("layer_norm", "rms_norm"):
        by_torch = called_by_torch()
        for place, size in enumerate(
            reversed(args[1] if len(args) > 1 else kwargs["normalized_shape"])
        ):
            if isinstance(size, Noted) or not by_torch:
                yield size, source, source.dim() - 1 - place, (0, int(size))
    elif name in ("split", "split_with_sizes", "narrow"):
        by_torch = called_by_torch()
        axis = kwargs.get("dim", args[2] if len(args) > 2 else 0)
        if name == "narrow":
            axis, start, length = (*args[1:], *kwargs.values())[:3]
            sizes: Sequence[int] = [length]
        else:
            given = args[1] if len(args) > 1 else kwargs.get("split_size_or_sections", ())
            start, sizes = 0, _pieces(source, axis, given) if isinstance(given, int) else given
        for size in sizes:
            end = min(int(start + size), source.shape[axis])
            if isinstance(size, Noted) or not by_torch:
                yield size, source, axis % source.dim(), (int(start), end)
            start = end


def _pieces(source: Tensor, axis: int, size: int) -> list[int]:
    """Return the size that was asked for once for each piece, or once where nobody can change it."""
    return [size] * (-(-source.shape[axis] // int(size)) if isinstance(size, Noted) else 1)


def _is_free(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Say whether every place at which an axis is divided is an integer of the user's, which can follow."""
    if name in ("__getitem__", "__setitem__"):
        keys = args[1] if isinstance(args[1], tuple) else (args[1],)
        bounds = [b for each in keys if isinstance(each, slice) for b in (each.start, each.stop)]
        given: Sequence[Any] = [bound for bound in bounds if bound is not None]
    elif name in ("split", "split_with_sizes"):
        given = args[1] if len(args) > 1 else kwargs.get("split_size_or_sections", ())
        given = [given] if isinstance(given, int) else given
    else:
        return False
    return bool(given) and all(
        isinstance(each, Noted) and isinstance(each.source, Integer) for each in given
    )


def _slices(source: Tensor, key: Any) -> Iterator[tuple[int, Tensor, int, tuple[int, int]]]:
    keys = key if isinstance(key, tuple) else (key,)
    axis = 0
    for place, each in enumerate(keys):
        if each is Ellipsis:
            axis = source.dim() - sum(k is not None for k in keys[place + 1 :])
            continue
        if isinstance(each, slice) and each.step in (None, 1):
            for bound in (each.start, each.stop):
                value = int(bound) if isinstance(bound, int) else 0
                if type(bound) is int and value < 0:  # so many at the end
                    end = source.shape[axis]
                    yield bound, source, axis, (max(0, end + value), end)
                elif 0 < value <= source.shape[axis]:
                    yield bound, source, axis, (0, value)
        axis += each is not None
