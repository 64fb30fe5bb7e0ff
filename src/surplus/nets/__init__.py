"""The networks of the field: dense, plain convolutional, residual and separable ones.

What lives here: one architecture per file; `Chain`, which collects the named layers with Gaussian Glorot weights that
plain ones are made of; `kaiming_`, which draws the Gaussian Kaiming weights of those with normalisation throughout;
`scaled`, which multiplies a layer's width; `Erf`, an activation; `drawn`, `fixed` and `signed` layers of small models.
May import: `base`.
To add a net: one file with a final member of `Net` whose `build` returns the module.
"""

from surplus.base import discover
from surplus.nets.drawing import drawn, fixed, signed
from surplus.nets.erf import Erf
from surplus.nets.initialisation import kaiming_
from surplus.nets.layers import Chain, scaled

_found, __getattr__ = discover(__name__)

__all__ = ["Chain", "Erf", "drawn", "fixed", "kaiming_", "scaled", "signed", *_found]  # noqa: PLE0604 - the members are found, not listed
