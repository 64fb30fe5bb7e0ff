"""From outputs to losses and hits, for many networks at once."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from surplus.passes.data import check_labels


def judge_(
    outputs: Float[Tensor, "classes examples"], targets: Int[Tensor, " examples"]
) -> tuple[Float[Tensor, " examples"], Bool[Tensor, " examples"]]:
    """Return the cross-entropy of each column and whether its label wins; in place: `outputs` is overwritten.

    A label wins when no other class has a larger output and no lower class an equal one.

    Raises:
        InvalidArgument: the targets are no labels.
    """
    check_labels(targets)
    top = outputs.amax(0)
    own = outputs.gather(0, targets[None])[0]
    hits = own == top
    if int(torch.count_nonzero(outputs == top)) != top.numel():
        hits = outputs.argmax(0) == targets  # equal or undefined outputs: settle them one by one
        hits &= ~own.isnan()
    # The same sums as log_softmax, but in place and with the classes as rows.
    loss = outputs.sub_(top).exp_().sum(0).log_().sub_(own.sub_(top))
    return loss, hits
