"""Results as tables that people read in a terminal."""

from statistics import mean, stdev

from surplus.base import Cell, Table
from surplus.cli.folders import readable_bytes

LATENCY = ("latency_milliseconds", "latency_lower_milliseconds", "latency_upper_milliseconds")
SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9)


def layer_size(curves: Table, layer: str) -> int:
    """Return how many units of a layer an ablation removed: all that were there."""
    return max(int(count or 0) for count in curves.where(layer=layer)["num_removed"])


def curve_table(curves: Table, layer: str, quantity: str = "test_accuracy") -> Table:
    """Return accuracy in percent at some shares of removed units, one row per criterion and direction.

    Random orders are one row: their mean and standard deviation over the repeats.
    """
    chosen = curves.where(layer=layer)
    orders = dict.fromkeys(zip(chosen["score"], chosen["remove"], strict=True))
    size = layer_size(curves, layer)
    rows: list[dict[str, Cell]] = []
    for score, remove in orders:
        curve = chosen.where(score=score, remove=remove)
        repeats = sorted({int(repeat or 0) for repeat in curve["repeat"]})
        row: dict[str, Cell] = {"criterion": score, "removed first": _order(score, remove, repeats)}
        for share in SHARES:
            values = [
                100 * float(value or 0)
                for value in curve.where(num_removed=round(share * size))[quantity]
            ]
            spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
            row[f"{100 * share:.0f} %"] = f"{mean(values):.2f}{spread}"
        rows.append(row)
    return Table.from_rows(rows)


def comparison_table(comparison: Table) -> Table:
    """Return the dense, masked and cut network with costs and accuracies as people read them."""
    setting = comparison.units["latency_milliseconds"]
    rows: list[dict[str, Cell]] = []
    for row in comparison.rows():
        shown: dict[str, Cell] = {
            "network": row["network"],
            "parameters": row["num_parameters"],
            "MACs": row["num_macs"],
            "file": readable_bytes(int(row["num_bytes"] or 0)),
            "peak memory": readable_bytes(int(row["num_peak_bytes"] or 0)),
            f"latency [{setting}]": _latency(row),
        }
        for part in ("validation", "test"):
            if f"{part}_accuracy" in row:
                shown[f"{part} [%]"] = _percent(row[f"{part}_accuracy"])
        rows.append(shown)
    return Table.from_rows(rows)


def history_table(history: Table) -> Table:
    """Return how each arm of a scheduled pruning ended."""
    last = max(int(step or 0) for step in history["step"])
    ends = history.where(step=last)
    columns: dict[str, list[Cell]] = {"network": ends["arm"]}
    for part in ("validation", "test"):
        columns[f"{part} [%]"] = [_percent(each) for each in ends[f"{part}_accuracy"]]
    return Table(columns)


def _percent(accuracy: Cell) -> str | None:
    """Return an accuracy as people read it; None where there are no labels."""
    return None if accuracy is None else f"{100 * float(accuracy):.2f}"


def _order(score: Cell, remove: Cell, repeats: list[int]) -> str:
    return f"{len(repeats)} draws" if score == "random" else str(remove)


def _latency(row: dict[str, Cell]) -> str:
    median, lower, upper = (row[name] for name in LATENCY)
    return f"{median:.3f} ({lower:.3f} to {upper:.3f})"
