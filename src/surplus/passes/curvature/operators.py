"""The operators of a network's loss: its Hessian and its generalised Gauss-Newton matrix."""

from torch import nn

from surplus.passes.curvature import forward, reverse
from surplus.passes.curvature.operator import Operator
from surplus.passes.curvature.products import Products
from surplus.passes.data import Data


def hessian(model: nn.Module, data: Data) -> Operator:
    """Return the Hessian of the mean cross-entropy over the data, in all trainable parameters.

    The loss is the sum of -log p(label) in nats over all examples (and over their positions, where the outputs have
    any) divided by the number of examples, as `performance` computes it; there is no factor of 2 and no weight decay.
    The model is in evaluation mode and is left as it was found. Parameters that are frozen (`requires_grad` is False)
    play no part; tied ones count once. Each product reads the data once; the data must come out the same each time.
    Memory grows with the batch, not with the data.

    Args:
        model: The network; labels are compared with its outputs before the softmax.
        data: A part of a task, or batches of (inputs, targets).

    Returns:
        The operator. Its products raise `NotTwiceDifferentiable` where the network uses an operator without second
        derivatives, and `InvalidArgument` where they are not finite.

    Raises:
        InvalidArgument: no parameter can be trained, or one is complex, or they lie on several devices.

    Reference: pearlmutter1994fast, Section 3.
    """
    return Products(
        model, data, "Hessian", (forward.hessian_products, reverse.hessian_products)
    ).operator


def gauss_newton(model: nn.Module, data: Data) -> Operator:
    """Return the generalised Gauss-Newton matrix of the mean cross-entropy: the mean of J^T (diag(p) - p p^T) J.

    J is the Jacobian of an example's outputs, p its softmax. The matrix has no negative eigenvalue, is the Fisher
    information of the network's predictions, and is the Hessian without the curvature of the network itself. All
    else is as in `hessian`.

    Reference: schraudolph2002fast, Section 3.
    """
    products = (forward.gauss_newton_products, reverse.gauss_newton_products)
    return Products(model, data, "Gauss-Newton matrix", products).operator
