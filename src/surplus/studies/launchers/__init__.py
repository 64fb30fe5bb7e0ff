"""The launchers, one per file: where the jobs of a study are done."""

from surplus.base import discover

_found, __getattr__ = discover(__name__)
__all__ = list(_found)
