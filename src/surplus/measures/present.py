"""Which units of a layer have a direction."""

from typing import Literal

from jaxtyping import Int
from torch import Tensor

from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated


def present(seen: Observed, name: str, least: Literal[1, 2] = 2) -> Int[Tensor, " present"]:
    """Return the numbers of a layer's units that are kept and whose incoming weights are not all zero.

    Raises:
        Untreated: weights are NaN or infinite, or there are fewer than `least`.
    """
    W = seen.weight_vectors(name)
    if not bool(W.isfinite().all()):
        raise Untreated("some of its weights are NaN or infinite")
    index = (seen.kept(name) & (W.norm(dim=1) > 0)).nonzero()[:, 0]
    if len(index) == 0:
        raise Untreated("none of its units has weights other than zero")
    if len(index) < least:
        raise Untreated("only one of its units has weights other than zero")
    return index
