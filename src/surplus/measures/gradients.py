"""What the measures of gradients share: their sample of examples, and layers as modules with parameters."""

from collections.abc import Iterable, Iterator

from surplus.measures.backward import sample_of as drawn_from
from surplus.measures.observed import Observed
from surplus.passes import Data
from surplus.passes.ghost import GradientSample


def gradients_of(seen: Observed, num_examples: int | None) -> tuple[GradientSample, list[int]]:
    """Return the lengths of the gradients of a sample, and the numbers of its examples in the data.

    Raises:
        Untreated: there are no data, the model is no classifier on them, or it mixes its examples.
    """
    found = seen.backward(num_examples)
    return found.sample, found.numbers


def sample_of(seen: Observed, num_examples: int | None) -> tuple[Data, list[int]]:
    """Return a sample of the data, drawn by the seed, and the numbers of its examples in the data.

    Raises:
        Untreated: there are no data, or the model is no classifier on them.
    """
    return drawn_from(seen.model, seen.examples(), num_examples, seen.seed)


def by_layer(names: Iterable[str]) -> Iterator[tuple[str, list[int]]]:
    """Yield the modules that hold parameters, with the places of these among the names; a bare one is its own layer."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name.rpartition(".")[0] or name, []).append(place)
    yield from found.items()
