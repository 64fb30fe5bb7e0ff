"""Low-rank accuracy: how many directions of the weights, or of what training added, the accuracy needs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from surplus.base import derive, register
from surplus.measures.drawn import of_draws
from surplus.measures.finding import Finding
from surplus.measures.matrices import by_layer, check_matrix, parameters_of
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, per_layer, untreated
from surplus.passes import Data, performance
from surplus.passes.spectra import Decomposed, decompose, powers_of_two
from surplus.units import copied

Weights = dict[str, Tensor]


@register("low-rank-accuracy")
@dataclass(frozen=True, kw_only=True, slots=True)
class LowRankAccuracy(Measure):
    r"""State the accuracy with weights projected on k singular directions: of the weights, and of their update.

    With W = Z + D, where Z are the weights at initialisation, and D_k the best approximation of D of rank k, four
    networks are judged for each k: with W_k; with Z + D_k; with the rest, Z + D - D_k; and, as a control, with D
    projected on k random directions. Each is done for one layer at a time, and for all of them together (findings
    without a layer), where matrices of a lower rank stay whole. The spectral norm of what was taken away is the next
    singular value: it can be large where the accuracy does not change.

    Reference: nagarajan2019uniform, Appendix; here also layer by layer, with the residual and the control.
    """

    references: ClassVar = ("nagarajan2019uniform",)
    needs: ClassVar = ("weights", "init_weights", "labels")
    ranks: tuple[int, ...] = ()
    """The k; none stands for 1, 2, 4 and so on."""
    num_draws: int = 3
    """How many random projections each control has."""
    together: bool = True
    """Whether to project all layers together too."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield accuracies and the spectral norms of what was removed, for every k; `n` counts examples or draws."""
        data, names = _labelled(seen), parameters_of(seen)
        trial = _Trial(seen.model, data)
        yield Finding(quantity="accuracy", value=trial.judge({}), n=trial.num_examples)
        matrices = by_layer(seen.matrices())
        initial = None if seen.initial is None else by_layer(seen.initial_matrices())
        projector = _Projector(self, trial, names, seen.seed)
        yield from projector.weights(matrices)
        if initial is None:
            try:
                seen.start()
            except Untreated as reason:
                yield untreated(str(reason))
            return
        yield from projector.updates(matrices, initial)
