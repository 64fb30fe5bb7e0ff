"""Choosing between criteria, on validation."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from surplus.base import InvalidArgument, Table, label
from surplus.methods.cutting import Cutting, num_removals
from surplus.methods.subject import Subject, kept_of
from surplus.scores import Score


class Choice(NamedTuple):
    """A criterion and a direction, and how they do on validation, averaged over layers."""

    score: str
    """The criterion's label."""
    remove: str
    """Whether its "lowest" or "highest" scores go first."""
    validation_accuracy: float
    """The fraction of validation examples that are right."""
    validation_loss: float
    """Mean cross-entropy on validation, in nats."""


def best_order(curves: Table, removals: Mapping[str, int]) -> Choice:
    """Return the criterion and direction with the highest validation accuracy after some removals from each layer.

    Each layer counts alone, as in the ablation; ties go to the lower validation loss. Random orders are the control and
    are not chosen.

    Args:
        curves: The table of an ablation.
        removals: How many units are removed from each layer.

    Raises:
        InvalidArgument: the ablation holds no criterion but random.
    """
    orders = dict.fromkeys(zip(curves["score"], curves["remove"], strict=True))
    choices = [
        _judged(curves.where(score=score, remove=remove), removals)
        for score, remove in orders
        if score != "random"
    ]
    if not choices:
        raise InvalidArgument(
            "The ablation holds no criterion but random, and random is not chosen."
        )
    return max(choices, key=lambda each: (each.validation_accuracy, -each.validation_loss))


def best_cut(
    subject: Subject,
    curves: Table,
    layers: tuple[str, ...],
    scores: Sequence[Score],
    sparsity: float,
) -> Cutting:
    """Return the cut by the criterion and direction that are best on validation at its sparsity."""
    removals = {name: num_removals(sparsity, kept_of(subject, name)) for name in layers}
    choice = best_order(curves, removals)
    score = next(each for each in scores if label(each) == choice.score)
    highest = choice.remove == "highest"
    return Cutting(sparsity=sparsity, score=score, layers=layers, highest=highest)


def _judged(curve: Table, removals: Mapping[str, int]) -> Choice:
    accuracies, losses = [], []
    for layer, count in removals.items():
        (point,) = curve.where(layer=layer, num_removed=count).rows()
        accuracies.append(float(point["validation_accuracy"] or 0))
        losses.append(float(point["validation_loss"] or 0))
    return Choice(
        str(curve["score"][0]),
        str(curve["remove"][0]),
        sum(accuracies) / len(accuracies),
        sum(losses) / len(losses),
    )
