"""What the measures of gradients share: their sample of examples, and layers as modules with parameters."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from surplus.base import InvalidArgument, Part
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated
from surplus.passes import Data, GradientSample, batches, drawn, gradient_sample, sampled
from surplus.units import evaluating

NO_CLASSES = "it looks at the loss of a classifier, and"


def sample_of(seen: Observed, num_examples: int | None) -> tuple[Data, list[int]]:
    """Return a sample of the data, drawn by the seed, and the numbers of its examples in the data.

    Raises:
        Untreated: there are no data, or the model is no classifier on them.
    """
    data = seen.examples()
    data = data if isinstance(data, Part) else list(data)
    total = len(data) if isinstance(data, Part) else sum(len(targets) for _, targets in data)
    chosen = sampled(data, num_examples, seen.seed)
    _check_classifier(seen, chosen)
    if num_examples is None or num_examples >= total:
        return chosen, list(range(total))
    return chosen, drawn(total, num_examples, seen.seed).tolist()


def gradients_of(seen: Observed, num_examples: int | None) -> tuple[GradientSample, list[int]]:
    """Return the lengths of the gradients of a sample, and the numbers of its examples in the data.

    Raises:
        Untreated: there are no data, the model is no classifier on them, or it mixes its examples.
    """
    chosen, numbers = sample_of(seen, num_examples)
    try:
        return seen.once(
            f"gradients of {num_examples}", lambda: gradient_sample(seen.model, chosen)
        ), numbers
    except InvalidArgument as reason:
        raise Untreated(str(reason)) from reason


def by_layer(names: Iterable[str]) -> Iterator[tuple[str, list[int]]]:
    """Yield the modules that hold parameters, with the places of these among the names; a bare one is its own layer."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name.rpartition(".")[0] or name, []).append(place)
    yield from found.items()


def mean_interval(values: Tensor) -> tuple[float, float]:
    """Return the 95 % interval of a mean, by the normal approximation."""
    mean = float(values.mean())
    reach = 1.96 * float(values.std()) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return mean - reach, mean + reach


def _check_classifier(seen: Observed, data: Data) -> None:
    inputs, targets = next(batches(data, seen.model))
    if targets.dim() != 1 or targets.is_floating_point():
        raise Untreated(f"{NO_CLASSES} the targets are not class labels")
    with torch.no_grad(), evaluating(seen.model):
        outputs = seen.model(inputs[:2])
    if not isinstance(outputs, Tensor) or outputs.dim() != 2 or len(outputs) != len(inputs[:2]):
        raise Untreated(f"{NO_CLASSES} the model does not return one row of logits per example")
    if int(targets.max()) >= outputs.shape[1] or int(targets.min()) < 0:
        raise Untreated(f"{NO_CLASSES} there are labels for which the model has no output")
