"""The trace of the Gauss-Newton matrix by layer, from plain gradients."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from surplus.base import derive
from surplus.passes.curvature.loss import IGNORED
from surplus.passes.curvature.parameters import FlatParameters
from surplus.passes.curvature.reverse import gradients, leaves_of
from surplus.passes.curvature.undisturbed import undisturbed
from surplus.passes.data import Data, batches
from surplus.passes.estimates import Estimate, mean_estimate
from surplus.units import layer_of


def layer_traces(
    model: nn.Module, data: Data, num_probes: int = 10, seed: int = 0
) -> dict[str, Estimate]:
    """Estimate how much of the Gauss-Newton matrix's trace each layer's parameters have; none is ever negative.

    With H = diag(p) - p p^T of an example and z random signs, s = (diag(p) - p p^T) diag(p)^(-1/2) z has E[s s^T] = H.
    So |J^T s|^2, the squared length of one ordinary gradient, is the trace of J^T H J on average; and since s has mean
    zero and is drawn anew for every example, the gradient of a whole batch will do. A small layer's share is then
    not drowned in the noise of the large ones, as it is in the diagonal that `trace` sees. Second derivatives are not
    needed.

    Args:
        model: The network, which is left as found.
        data: A part of a task, or batches of (inputs, targets); more and smaller batches give shorter intervals.
        num_probes: How many times to draw.
        seed: Of the draws.

    Reference: own; decisions/0018-curvature.md.
    """
    flat = FlatParameters(model)
    generator = torch.Generator().manual_seed(derive(seed, "curvature", "layers"))
    squares = {layer: torch.zeros(num_probes, dtype=torch.float64) for layer in flat.layers}
    count = 0
    with undisturbed(model):
        for inputs, targets in batches(data, model):
            leaves = leaves_of(flat.tensors)
            outputs = functional_call(model, leaves, (inputs,))
            for probe in range(num_probes):
                weights = _roots(outputs.detach(), targets, generator)
                found = gradients([outputs], list(leaves.values()), [weights], again=False)
                for name, each in zip(leaves, found, strict=True):
                    squares[layer_of(name)][probe] += float(each.double().square().sum())
            count += len(targets)
    return {layer: mean_estimate(each / count) for layer, each in squares.items()}


def _roots(
    outputs: Float[Tensor, "batch classes *positions"], targets: Tensor, generator: torch.Generator
) -> Float[Tensor, "batch classes *positions"]:
    """Return draws of s, whose covariance is the loss's Hessian in the outputs."""
    drawn = torch.randint(0, 2, outputs.shape, generator=generator).to(outputs.device)
    p = outputs.double().softmax(1)
    lengths = p.sqrt() * (2 * drawn - 1)
    roots = lengths - p * lengths.sum(1, keepdim=True)
    if targets.is_floating_point():
        return (roots * targets.sum(1, keepdim=True).sqrt()).to(outputs.dtype)
    return (roots * (targets != IGNORED).unsqueeze(1)).to(outputs.dtype)
