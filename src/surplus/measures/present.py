"""Which units of a layer have a direction."""

from typing import Literal

from jaxtyping import Int
from torch import Tensor

from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated


def present(seen: Observed, name: str, least: Literal[1, 2] = 2) -> Int[Tensor, " present"]:
    """Return the numbers of a layer's units that are kept and whose incoming weights are not all zero.

    Raises:
        Untreated: there are fewer than `least`.
    """
    W = seen.weight_vectors(name)
    index = (seen.kept(name) & (W.norm(dim=1) > 0)).nonzero()[:, 0]
    if len(index) == 0:
        raise Untreated("none of its units has weights other than zero")
    if len(index) < least:
        raise Untreated("only one of its units has weights other than zero")
    return index
