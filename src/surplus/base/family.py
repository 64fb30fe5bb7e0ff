"""Families: one abstract class with one abstract method, final members found by name."""

import importlib
import pkgutil
import sys
from abc import ABC
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from surplus.base.errors import InvalidArgument, unknown_name

F = TypeVar("F", bound="Family")


class Family(ABC):
    """The root of every abstract class whose members are chosen by name.

    A direct child (`Score`, `Net`, `Task` ...) is a family and opens its own register; a grandchild
    is a member and is final: subclassing it raises at once, so that a variant is a field or another file.
    """

    __slots__ = ()

    kind: ClassVar[str]
    """The name in the register, on the command line and in files."""
    version: ClassVar[int] = 1
    """Raised whenever a default or the meaning of a field changes; part of every fingerprint."""
    references: ClassVar[tuple[str, ...]] = ()
    """Keys of the bibliography: the papers that this member implements."""

    _members: ClassVar[dict[str, type[Any]]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Open a register for a new family; refuse to subclass a final member."""
        super().__init_subclass__(**kwargs)
        if Family in cls.__bases__:
            cls._members = {}
            return
        for parent in cls.__bases__:
            if "kind" in vars(parent):
                raise TypeError(
                    f"`{parent.__name__}` is final. A variant of it is a new field, or a file of its own."
                )


def register(kind: str) -> Callable[[type[F]], type[F]]:
    """Enter a final member into its family's register under `kind`.

    Raises:
        InvalidArgument: another class of the family already goes by that name.
    """

    def enter(member: type[F]) -> type[F]:
        known = member._members.get(kind)
        if known is not None and _full_name(known) != _full_name(member):
            raise InvalidArgument(
                f"`{kind}` already names {_full_name(known)};"
                f" choose another name for {_full_name(member)}."
            )
        member.kind = kind
        member._members[kind] = member
        return member

    return enter


def _full_name(member: type[Any]) -> str:
    return f"{member.__module__}.{member.__qualname__}"


def members(family: type[F]) -> dict[str, type[F]]:
    """Return a family's members by name, in alphabetical order."""
    return dict(sorted(family._members.items()))


def lookup(family: type[F], kind: str) -> type[F]:
    """Return the member that goes by `kind`.

    Raises:
        UnknownName: nothing in the family goes by that name; a close spelling is suggested.
    """
    known = members(family)
    if kind not in known:
        raise unknown_name(family.__name__.lower(), kind, known)
    return known[kind]


def discover(package: str) -> tuple[list[str], Callable[[str], Any]]:
    """Import every file of a room and enter the registered classes found into the room, by class name.

    This is what makes adding a member *one file*: the room's door calls it, nobody keeps a list.

    Returns:
        The names entered, for the room's `__all__`, and its `__getattr__`, which names them when one is misspelt.
    """
    room = sys.modules[package]
    found: dict[str, type[Any]] = {}
    for info in pkgutil.iter_modules(room.__path__):
        module = importlib.import_module(f"{package}.{info.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Family) and "kind" in vars(value):
                found[value.__name__] = value
    vars(room).update(found)

    def refuse(name: str) -> Any:
        raise AttributeError(f"{package} has no `{name}`; it has {', '.join(sorted(found))}.")

    return list(found), refuse
