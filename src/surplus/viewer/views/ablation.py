"""Ablation curves: what the removal of units costs, criterion by criterion."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from surplus.base import Table, register
from surplus.store import Run
from surplus.viewer.views.view import View

QUANTITIES = (
    "test_accuracy",
    "validation_accuracy",
    "test_loss",
    "validation_loss",
    "frame_potential",
)


@register("ablation")
@dataclass(frozen=True, kw_only=True, slots=True)
class Ablation(View):
    """One curve per layer, criterion and direction; repeated orders as mean and standard deviation.

    Reference: own; decisions/0007-plain-members.md.
    """

    def data(self, run: Run) -> Any | None:
        """Return the curves of the newest ablation of each layer."""
        layers: dict[str, Any] = {}
        for computation in run.current("ablation"):
            curves = computation.tables["curves"]
            for layer in dict.fromkeys(map(str, curves["layer"])):
                layers[layer] = _layer(curves.where(layer=layer))
        return {"layers": layers} if layers else None


def _layer(curves: Table) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[int, list[dict[str, Any]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in curves.rows():
        repeat = row["repeat"]
        assert isinstance(repeat, int)
        found[str(row["score"]), str(row["remove"])][repeat].append(row)
    return [
        {
            "score": score,
            "remove": remove,
            "repeats": len(repeats),
            **_series(list(repeats.values())),
        }
        for (score, remove), repeats in found.items()
    ]


def _series(repeats: list[list[dict[str, Any]]]) -> dict[str, Any]:
    series: dict[str, Any] = {"num_removed": [row["num_removed"] for row in repeats[0]]}
    for quantity in QUANTITIES:
        columns = list(zip(*([row[quantity] for row in rows] for rows in repeats), strict=True))
        series[quantity] = [_short(mean, column) for column in columns]
        if len(repeats) > 1:
            series[f"{quantity}_sd"] = [_short(stdev, column) for column in columns]
    if len(repeats) == 1:
        series["unit"] = [row["unit"] for row in repeats[0]]
    return series


def _short(summary: Callable[[list[float]], float], column: Sequence[Any]) -> float | None:
    """Summarise a column to the digits that the eye can tell; what is not finite is left out of the picture."""
    values = [float(each) for each in column if each is not None]
    if len(values) < len(column) or not all(map(math.isfinite, values)):
        return None
    return float(f"{summary(values):.5g}")
