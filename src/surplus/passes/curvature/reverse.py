"""Products by reverse mode twice, for operators that forward mode does not know: one vector after the other."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import grad, jvp

from surplus.passes.curvature.forward import Named, Run
from surplus.passes.curvature.loss import summed_cross_entropy


def hessian_products(run: Run, targets: Tensor, parameters: Named, vectors: Named) -> Named:
    """Return the products of the summed loss's Hessian with a block of vectors; see the namesake in `forward`."""
    leaves = leaves_of(parameters)
    inputs = list(leaves.values())
    loss = summed_cross_entropy(run(leaves), targets)
    slopes = gradients([loss], inputs, None, again=True)

    def product(vector: Named) -> Sequence[Tensor]:
        return gradients(slopes, inputs, list(vector.values()), again=False)

    return _each(product, vectors)


def gauss_newton_products(run: Run, targets: Tensor, parameters: Named, vectors: Named) -> Named:
    """Return the products of the Gauss-Newton matrix with a block of vectors; see the namesake in `forward`."""
    leaves = leaves_of(parameters)
    inputs = list(leaves.values())
    outputs = run(leaves)
    weights = torch.zeros_like(outputs, requires_grad=True)
    # J^T w is linear in w, so that its derivative along v, by reverse mode once more, is J v.
    pulled = gradients([outputs], inputs, [weights], again=True)
    gradient = grad(lambda each: summed_cross_entropy(each, targets))

    def product(vector: Named) -> Sequence[Tensor]:
        (change,) = gradients(pulled, [weights], list(vector.values()), again=False)
        curved = jvp(gradient, (outputs.detach(),), (change,))[1]
        return gradients([outputs], inputs, [curved], again=False)

    return _each(product, vectors)


def leaves_of(parameters: Named) -> Named:
    """Return the parameters as tensors of their own, to differentiate in; the model's `.grad` stay as they are."""
    return {name: each.detach().requires_grad_() for name, each in parameters.items()}


def _each(product: Callable[[Named], Sequence[Tensor]], vectors: Named) -> Named:
    count = len(next(iter(vectors.values())))
    found = [
        product({name: each[place] for name, each in vectors.items()}) for place in range(count)
    ]
    return {
        name: torch.stack(each)
        for name, each in zip(vectors, zip(*found, strict=True), strict=True)
    }


def gradients(
    values: Sequence[Tensor],
    inputs: Sequence[Tensor],
    weights: Sequence[Tensor] | None,
    again: bool,
) -> tuple[Tensor, ...]:
    """Return the gradients of values in inputs, zero where there is no way from one to the other.

    Args:
        values: What is differentiated.
        inputs: In what.
        weights: What each value is weighted with; None for one number.
        again: Whether the gradients are to be differentiated too.
    """
    weights = weights or [torch.ones_like(each) for each in values]
    pairs = [(a, b) for a, b in zip(values, weights, strict=True) if a.requires_grad]
    if not pairs:
        return tuple(torch.zeros_like(each) for each in inputs)
    kept, weighted = zip(*pairs, strict=True)
    return torch.autograd.grad(
        kept,
        inputs,
        weighted,
        retain_graph=True,
        create_graph=again,
        materialize_grads=True,
    )
