"""Choosing between criteria, on validation."""

from typing import NamedTuple

from surplus.base import InvalidArgument, Table


class Choice(NamedTuple):
    """The criterion and direction that did best, and how well."""

    score: str
    remove: str
    num_removed: int
    validation_accuracy: float
    validation_loss: float


def best_order(curves: Table, layer: str, sparsity: float) -> Choice:
    """Return the criterion and direction with the highest validation accuracy at a sparsity of one layer.

    Ties go to the lower validation loss. Random orders are the control and are not chosen.

    Args:
        curves: The table of an ablation.
        layer: The layer.
        sparsity: The fraction of its units that is removed.
    """
    rows = [row for row in curves.where(layer=layer).rows() if row["score"] != "random"]
    if not rows:
        raise InvalidArgument(f"The ablation holds no criterion but random for `{layer}`.")
    size = max(int(row["num_removed"] or 0) for row in rows)
    count = round(sparsity * size)
    found = [
        Choice(
            str(row["score"]),
            str(row["remove"]),
            count,
            float(row["validation_accuracy"] or 0),
            float(row["validation_loss"] or 0),
        )
        for row in rows
        if row["num_removed"] == count
    ]
    return max(found, key=lambda each: (each.validation_accuracy, -each.validation_loss))
