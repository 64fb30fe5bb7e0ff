"""The losses, one per file."""

from surplus.base import discover

_found, __getattr__ = discover(__name__)
__all__ = list(_found)
