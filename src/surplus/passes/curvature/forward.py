"""Products by forward mode over reverse mode: a block of vectors shares one run of the network."""

from collections.abc import Callable
from typing import cast

from jaxtyping import Float
from torch import Tensor
from torch.func import grad, jvp, vjp, vmap

from surplus.passes.curvature.loss import summed_cross_entropy

TOGETHER = 4  # tangents carried through the network at once: more gain nothing and cost memory

Named = dict[str, Tensor]
Run = Callable[[Named], Float[Tensor, "batch classes *positions"]]


def hessian_products(run: Run, targets: Tensor, parameters: Named, vectors: Named) -> Named:
    """Return the products of the summed loss's Hessian with a block of vectors.

    Args:
        run: Returns the outputs of the network with given parameters.
        targets: The targets of the batch.
        parameters: Where the derivatives are taken.
        vectors: For each parameter [vectors, *shape].
    """
    gradient = grad(lambda each: summed_cross_entropy(run(each), targets))

    def product(vector: Named) -> Named:
        return cast(Named, jvp(gradient, (parameters,), (vector,))[1])

    return vmap(product, chunk_size=TOGETHER)(vectors)


def gauss_newton_products(run: Run, targets: Tensor, parameters: Named, vectors: Named) -> Named:
    """Return the products of the summed loss's Gauss-Newton matrix with a block of vectors: J^T (H (J v)).

    J is the Jacobian of the outputs and H the loss's Hessian in them. Arguments as in `hessian_products`.
    """
    outputs, backward = cast(tuple[Tensor, Callable[[Tensor], tuple[Named]]], vjp(run, parameters))
    gradient = grad(lambda each: summed_cross_entropy(each, targets))

    def product(vector: Named) -> Named:
        change = jvp(run, (parameters,), (vector,))[1]
        curved = jvp(gradient, (outputs,), (change,))[1]
        return backward(curved)[0]

    return vmap(product, chunk_size=TOGETHER)(vectors)
