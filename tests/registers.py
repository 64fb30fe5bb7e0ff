"""Every family of the package and what it registers, found by walking, so that nothing new can be forgotten."""

import importlib
import pkgutil

import surplus
from surplus.base import Family, members


def _import_everything() -> None:
    for module in pkgutil.walk_packages(surplus.__path__, "surplus."):
        importlib.import_module(module.name)


_import_everything()
FAMILIES: tuple[type[Family], ...] = tuple(
    sorted(
        (each for each in Family.__subclasses__() if each.__module__.startswith("surplus.")),
        key=lambda family: family.__name__,
    )
)


def own(family: type[Family]) -> dict[str, type[Family]]:
    """Return the members that the package itself registers, without those of the tests."""
    return {
        kind: member
        for kind, member in members(family).items()
        if member.__module__.startswith("surplus.")
    }
