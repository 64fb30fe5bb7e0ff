"""The optimisers, one per file."""

from typing import Any

from surplus.base import discover

_found = discover(__name__, __path__)
globals().update(_found)
__all__ = list(_found)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"{__name__} has no `{name}`; it has {', '.join(sorted(_found))}.")
