"""Low-rank accuracy: how many directions of the weights, or of what training added, the accuracy needs."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from surplus.base import derive, register, unknown_name
from surplus.measures.drawn import of_draws
from surplus.measures.finding import Finding
from surplus.measures.matrices import by_layer, check_matrix, update_of
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.trial import Trial
from surplus.measures.untreated import Untreated, per_layer, untreated
from surplus.passes.spectra import Decomposed, powers_of_two, random_directions

Projected = Callable[[str, int], Tensor]
"""Returns the weights of a layer on k directions."""


@register("low-rank-accuracy")
@dataclass(frozen=True, kw_only=True, slots=True)
class LowRankAccuracy(Measure):
    r"""State the accuracy with weights projected on k singular directions: of the weights, and of their update.

    With W = Z + D, where Z are the weights at initialisation, and D_k the best approximation of D of rank k, four
    networks are judged for each k: with W_k; with Z + D_k; with the rest, Z + D - D_k; and, as a control, with D
    projected on k random directions. Each is done for one layer at a time, and for all of them together (findings
    without a layer), where k is the rank of a matrix where it is greater. The spectral norm of what was taken away is
    the next singular value: it can be large where the accuracy does not change.

    Reference: nagarajan2019uniform, the update on its top directions in the code of its experiments. W itself, the
    residual and the control are added, and layers are also taken one by one.
    """

    references: ClassVar = ("nagarajan2019uniform",)
    needs: ClassVar = ("weights", "init_weights", "labels")
    ranks: tuple[int, ...] = ()
    """The k; none stands for 1, 2, 4 and so on."""
    num_draws: int = 3
    """How many random projections each control has."""
    together: bool = True
    """Whether to project all layers together too."""
    layers: tuple[str, ...] | None = None
    """The layers to project, by name; None takes all."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield accuracies and spectral norms of what was removed, for every k; `n` counts examples, or draws."""
        trial = Trial(seen, seen.examples())
        yield Finding(
            quantity="accuracy", value=trial.accuracy({}), n=trial.num_examples, seed=trial.seed
        )
        matrices = self._chosen(by_layer(seen.matrices()))
        yield from self._weights(trial, matrices)
        try:
            initial = by_layer(seen.initial_matrices())
        except Untreated as reason:
            yield untreated(str(reason))
            return
        yield from self._updates(trial, matrices, initial, seen.seed)

    def _chosen(self, matrices: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the matrices of the layers to project.

        Raises:
            UnknownName: there is no such layer.
        """
        for name in self.layers or ():
            if name not in matrices:
                raise unknown_name("layer", name, matrices)
        return {
            name: W for name, W in matrices.items() if self.layers is None or name in self.layers
        }

    def _weights(self, trial: Trial, matrices: Mapping[str, Tensor]) -> Iterator[Finding]:
        parts: dict[str, Decomposed] = {}

        def curves(layers: Iterable[str]) -> Iterator[Finding]:
            ranks = self._ranks(parts[layer] for layer in layers)
            yield from _curve(trial, "truncated_weight_accuracy", layers, ranks, truncated)

        def truncated(layer: str, k: int) -> Tensor:
            return parts[layer].truncated(k)

        def one(layer: str) -> Iterator[Finding]:
            check_matrix(matrices[layer])
            parts[layer] = Decomposed(matrices[layer])
            yield from self._removed("removed_weight_spectral_norm", parts[layer])
            yield from curves([layer])

        yield from per_layer(list(matrices), one)
        if self.together and parts:
            yield from curves(list(parts))

    def _updates(
        self,
        trial: Trial,
        matrices: Mapping[str, Tensor],
        initial: Mapping[str, Tensor],
        seed: int,
    ) -> Iterator[Finding]:
        parts: dict[str, Decomposed] = {}

        def curves(layers: Iterable[str]) -> Iterator[Finding]:
            ranks = self._ranks(parts[layer] for layer in layers)
            yield from _curve(trial, "truncated_update_accuracy", layers, ranks, truncated)
            yield from _curve(trial, "update_residual_accuracy", layers, ranks, residual)
            draws = [self._random(parts, initial, layers, seed, i) for i in range(self.num_draws)]
            yield from _control(trial, "random_update_accuracy", layers, ranks, draws, seed)

        def truncated(layer: str, k: int) -> Tensor:
            return initial[layer] + parts[layer].truncated(k)

        def residual(layer: str, k: int) -> Tensor:
            return matrices[layer] - parts[layer].truncated(k)

        def one(layer: str) -> Iterator[Finding]:
            parts[layer] = Decomposed(update_of(layer, matrices, initial))
            yield from self._removed("removed_update_spectral_norm", parts[layer])
            yield from curves([layer])

        yield from per_layer(list(matrices), one)
        if self.together and parts:
            yield from curves(list(parts))

    def _random(
        self,
        parts: Mapping[str, Decomposed],
        initial: Mapping[str, Tensor],
        layers: Iterable[str],
        seed: int,
        draw: int,
    ) -> Projected:
        bases = {
            layer: random_directions(
                len(parts[layer].W), derive(seed, "random directions", layer, draw)
            )
            for layer in layers
        }
        return lambda layer, k: initial[layer] + parts[layer].projected(bases[layer], k)

    def _ranks(self, parts: Iterable[Decomposed]) -> tuple[int, ...]:
        greatest = max(part.full_rank for part in parts)
        return tuple(k for k in self.ranks or powers_of_two(greatest) if 0 <= k <= greatest)

    def _removed(self, quantity: str, part: Decomposed) -> Iterator[Finding]:
        for k in self._ranks([part]):
            yield Finding(quantity=quantity, value=part.removed_norm(k), at=float(k))


def _curve(
    trial: Trial, quantity: str, layers: Iterable[str], ranks: Iterable[int], projected: Projected
) -> Iterator[Finding]:
    """Yield the accuracy for every k."""
    for k in ranks:
        value = trial.accuracy({layer: projected(layer, k) for layer in layers})
        yield Finding(
            quantity=quantity, value=value, at=float(k), n=trial.num_examples, seed=trial.seed
        )


def _control(
    trial: Trial,
    quantity: str,
    layers: Iterable[str],
    ranks: Iterable[int],
    draws: list[Projected],
    seed: int,
) -> Iterator[Finding]:
    """Yield the accuracies of several draws for every k."""
    for k in ranks if draws else ():
        values = [trial.accuracy({each: draw(each, k) for each in layers}) for draw in draws]
        yield replace(of_draws(quantity, values, seed), at=float(k))
