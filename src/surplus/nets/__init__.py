"""The networks of the field: LeNet-300-100, Conv-2/4/6, VGG-11, VGG-19-BN, a small AlexNet.

What lives here: one architecture per file; `layers`, the named layers with Gaussian Glorot weights they are made of.
May import: `base`.
To add a net: one file with a final member of `Net` whose `build` returns the module.
"""

from typing import Any

from surplus.base import discover
from surplus.nets.layers import Chain, scaled

_found = discover(__name__, __path__)
globals().update(_found)

__all__ = ["Chain", "scaled", *_found]  # noqa: PLE0604 - the members are found, not listed


def __getattr__(name: str) -> Any:
    raise AttributeError(f"surplus.nets has no `{name}`; it has {', '.join(sorted(_found))}.")
