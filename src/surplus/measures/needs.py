"""What a measure may need, and the pass that serves it."""

from collections.abc import Iterable
from typing import Literal

from torch import nn

from surplus.passes.statistics import Wanted

Need = Literal[
    "weights",  # the weights as they are
    "init_weights",  # and as they were at initialisation
    "activations",  # means and covariances of each layer's units
    "cross_layer",  # covariances of all layers' features with one another
    "firing",  # how often units are above zero, alone and together
    "deltas",  # second moments of what weights receive and of the gradients passed back to them
    "gradients",  # gradients of single examples
    "labels",  # sums by class, and whatever else looks at labels
    "examples",  # inputs alone, for runs of its own
    "history",  # the weights at all times of a run
]
OF_DATA = frozenset(
    {"activations", "cross_layer", "firing", "deltas", "gradients", "labels", "examples"}
)
OF_DRAWN = OF_DATA - {"labels"}
"""Of these every number that rests on examples rests on the sample that the seed drew, or on positions drawn in it."""


def wanted(
    needs: Iterable[Need], positions: int | None, seed: int, readout: nn.Module | None
) -> Wanted:
    """Return what one pass has to sum up, so that all needs are met."""
    needed = set(needs)
    return Wanted(
        comoments="activations" in needed,
        firing="firing" in needed,
        class_sums="labels" in needed and "activations" in needed,
        cross_layer="cross_layer" in needed,
        judged="labels" in needed,
        readout=readout if "labels" in needed else None,
        positions=positions,
        seed=seed,
    )
