"""Specs: frozen dataclasses, their canonical JSON, and the fingerprint that is a run's address."""

import dataclasses
import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

from surplus.base.errors import InvalidArgument, closest
from surplus.base.family import Family, lookup

T = TypeVar("T")


@runtime_checkable
class JSONable(Protocol):
    """A value with a JSON form of its own (a mask, a record of edits)."""

    def to_json(self) -> Any:
        """Return plain JSON data."""
        ...

    @classmethod
    def from_json(cls, data: Any) -> Any:
        """Rebuild the value from what `to_json` returned."""
        ...


def encode(value: Any) -> Any:
    """Return the JSON form of a spec: every field, a `kind` for each member of a family, a `version` where raised.

    Raises:
        InvalidArgument: a number is not finite, or a value is of a type that specs do not hold.
    """
    return _encode(value, terse=False)


def decode(kind: type[T], data: Any, where: str = "spec") -> T:
    """Rebuild a spec from its JSON form, strictly.

    Raises:
        InvalidArgument: an unknown key (a close spelling is suggested), a missing key, a value of another type, or a
            `version` that is not the class's.
        UnknownName: a `kind` that no member of the family goes by.
    """
    return typing.cast(T, _decode(kind, data, where))


def fingerprint(value: Any, **identity: str) -> str:
    """Return the 16 hexadecimal digits that address a spec.

    Fields that equal their default are left out, so that a later version may add a field without moving old runs;
    each class's `version` is put in, so that a changed default does move them. `identity` adds what the fields do not
    say, such as the hash of the data's contents.
    """
    form = {"spec": _encode(value, terse=True), "identity": dict(sorted(identity.items()))}
    return hashlib.sha256(canonical(form).encode()).hexdigest()[:16]


def label(member: Family) -> str:
    """Return the short name of a member: its kind, and the settings that differ from their defaults.

    It is written as the command line takes it, such as `magnitude:power=1`.
    """
    settings = _encode(member, terse=True)
    words = [
        f"{name}={value if isinstance(value, str) else canonical(value)}"
        for name, value in settings.items()
        if name not in ("kind", "version")
    ]
    return f"{member.kind}:{','.join(words)}" if words else member.kind


def canonical(data: Any) -> str:
    """Write JSON data in the one way that is hashed: sorted keys, no blanks, no NaN.

    Example:
        >>> canonical({"b": 1.0, "a": [True, None]})
        '{"a":[true,null],"b":1.0}'
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def finite(data: Any) -> Any:
    """Return JSON data with null for every number that is not finite, which JSON cannot hold."""
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if isinstance(data, Mapping):
        return {key: finite(item) for key, item in data.items()}
    if isinstance(data, list | tuple):
        return [finite(item) for item in data]
    return data


def _encode(value: Any, *, terse: bool) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidArgument(f"A spec cannot hold the number {value}; use None for `absent`.")
        return value
    if isinstance(value, tuple | list):
        return [_encode(item, terse=terse) for item in value]
    if isinstance(value, JSONable):
        return value.to_json()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _encode_dataclass(value, terse=terse)
    raise InvalidArgument(
        f"A spec cannot hold a {type(value).__name__}; it takes numbers, strings, tuples and frozen dataclasses."
    )


def _encode_dataclass(value: Any, *, terse: bool) -> dict[str, Any]:
    cls = type(value)
    data: dict[str, Any] = {}
    if isinstance(value, Family):
        data["kind"] = cls.kind
    version = getattr(cls, "version", 1)
    if version != 1:
        data["version"] = version
    for field in dataclasses.fields(cls):
        item = getattr(value, field.name)
        if terse and _is_default(field, item) and not _holds_raised_version(item):
            continue
        data[field.name] = _encode(item, terse=terse)
    return data


def _holds_raised_version(item: Any) -> bool:
    """Say whether a changed default hides inside a value: then its version has to be said."""
    if isinstance(item, tuple | list):
        return any(_holds_raised_version(each) for each in item)
    if not dataclasses.is_dataclass(item):
        return False
    if getattr(type(item), "version", 1) != 1:
        return True
    return any(_holds_raised_version(getattr(item, f.name)) for f in dataclasses.fields(item))


def _is_default(field: "dataclasses.Field[Any]", item: Any) -> bool:
    if field.default is not dataclasses.MISSING:
        default = field.default
    elif field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    else:
        return False
    return type(default) is type(item) and bool(default == item)


def _decode(kind: Any, data: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(kind, data, where)
    if origin is tuple:
        return _decode_tuple(kind, data, where)
    if origin is typing.Literal:
        if data not in typing.get_args(kind):
            raise _mismatch(where, data, " or ".join(map(repr, typing.get_args(kind))))
        return data
    if isinstance(kind, type) and issubclass(kind, Family):
        return _decode_member(kind, data, where)
    if hasattr(kind, "from_json"):
        return kind.from_json(data)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_fields(kind, data, where)
    if kind is float and isinstance(data, int | float) and not isinstance(data, bool):
        return float(data)
    if kind in (int, str, bool, type(None)):
        if type(data) is not kind:
            raise _mismatch(where, data, kind.__name__)
        return data
    raise _mismatch(where, data, getattr(kind, "__name__", str(kind)))


def _decode_union(kind: Any, data: Any, where: str) -> Any:
    options = typing.get_args(kind)
    if data is None and type(None) in options:
        return None
    options = tuple(option for option in options if option is not type(None))
    if len(options) == 1:
        return _decode(options[0], data, where)
    for option in options:
        try:
            return _decode(option, data, where)
        except InvalidArgument:
            continue
    raise _mismatch(where, data, str(kind))


def _decode_tuple(kind: Any, data: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(data, list | tuple):
        raise _mismatch(where, data, "a list")
    kinds = typing.get_args(kind)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(data)
    if len(kinds) != len(data):
        raise _mismatch(where, data, f"a list of {len(kinds)} values")
    return tuple(
        _decode(each, item, f"{where}[{place}]")
        for place, (each, item) in enumerate(zip(kinds, data, strict=True))
    )


def _decode_member(family: type[Family], data: Any, where: str) -> Any:
    if isinstance(data, str):  # the name alone: all fields at their defaults
        data = {"kind": data}
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        raise _mismatch(where, data, f"an object with the `kind` of a {family.__name__.lower()}")
    member = lookup(family, data["kind"])
    return _decode_fields(member, {key: item for key, item in data.items() if key != "kind"}, where)


def _decode_fields(cls: Any, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise _mismatch(where, data, f"an object with the fields of {cls.__name__}")
    version, current = data.get("version", 1), getattr(cls, "version", 1)
    if version != current:
        raise InvalidArgument(
            f"`{where}` was written by version {version} of {cls.__name__}; this is version {current}, whose"
            " defaults or meaning differ. Read it with the version of Surplus that wrote it."
        )
    data = {key: item for key, item in data.items() if key != "version"}
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in data:
        if key not in fields:
            near = closest(key, fields)
            hint = f" Did you mean `{near}`?" if near else f" It has: {', '.join(sorted(fields))}."
            raise InvalidArgument(f"`{where}` ({cls.__name__}) has no field `{key}`.{hint}")
    missing = [
        name
        for name, field in fields.items()
        if name not in data
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise InvalidArgument(f"`{where}` ({cls.__name__}) lacks `{'`, `'.join(missing)}`.")
    return cls(**{key: _decode(hints[key], item, f"{where}.{key}") for key, item in data.items()})


def _mismatch(where: str, data: Any, expected: str) -> InvalidArgument:
    shown = repr(data) if len(repr(data)) <= 60 else repr(data)[:57] + "..."
    return InvalidArgument(f"`{where}` is {shown}; expected {expected}.")
