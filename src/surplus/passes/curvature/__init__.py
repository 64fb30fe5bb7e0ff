"""Curvature of the loss: operators over all trainable parameters, and what Lanczos and random probes say of them.

What lives here:
- `Operator`, a symmetric matrix known by its products; `hessian` and `gauss_newton` make one of a model and data, or
  raise `NotTwiceDifferentiable`;
- `spectrum`, which returns a `Spectrum`: the largest eigenvalues with bounds, the density, moments;
- `trace`, which returns a `Trace`: of the whole and of each part, with the Frobenius norm; `layer_traces`, sharper,
  of the Gauss-Newton matrix;
- `summed_cross_entropy`, the loss, and the label `IGNORED` there.
"""

from surplus.passes.curvature.layer_traces import layer_traces
from surplus.passes.curvature.loss import IGNORED, summed_cross_entropy
from surplus.passes.curvature.not_twice_differentiable import NotTwiceDifferentiable
from surplus.passes.curvature.operator import Operator
from surplus.passes.curvature.operators import gauss_newton, hessian
from surplus.passes.curvature.spectrum import Eigenvalue, Spectrum, spectrum
from surplus.passes.curvature.trace import Trace, trace

__all__ = [
    "IGNORED",
    "Eigenvalue",
    "NotTwiceDifferentiable",
    "Operator",
    "Spectrum",
    "Trace",
    "gauss_newton",
    "hessian",
    "layer_traces",
    "spectrum",
    "summed_cross_entropy",
    "trace",
]
