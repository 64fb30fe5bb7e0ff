"""The networks of the field: LeNet-300-100, Conv-2/4/6, VGG-11, VGG-19-BN, a small AlexNet.

What lives here: one architecture per file; `Chain`, which collects the named layers with Gaussian Glorot weights that
they are made of, and `scaled`, which multiplies a layer's width.
May import: `base`.
To add a net: one file with a final member of `Net` whose `build` returns the module.
"""

from surplus.base import discover
from surplus.nets.layers import Chain, scaled

_found, __getattr__ = discover(__name__)

__all__ = ["Chain", "scaled", *_found]  # noqa: PLE0604 - the members are found, not listed
