"""Which units of a layer have a direction."""

from jaxtyping import Int
from torch import Tensor

from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated

NUMBERS = ("none", "one", "two", "three", "four", "five")


def present(seen: Observed, name: str, least: int = 2) -> Int[Tensor, " present"]:
    """Return the numbers of a layer's units that are kept and whose incoming weights are not all zero.

    Raises:
        Untreated: there are fewer than `least`.
    """
    W = seen.weight_vectors(name)
    index = (seen.kept(name) & (W.norm(dim=1) > 0)).nonzero()[:, 0]
    if len(index) < least:
        number = NUMBERS[least] if least < len(NUMBERS) else str(least)
        raise Untreated(f"fewer than {number} of its units have weights other than zero")
    return index
