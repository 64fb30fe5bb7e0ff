"""Figures in one style: small multiples of lines with bands, the same bytes for the same data."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
import numpy
import pandas
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from scipy import stats

from surplus.base import InvalidArgument, unknown_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which people with every kind of colour vision can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
FEW = 7  # so many ticks are legible in a panel
DASHES = ("-", "--", ":", "-.")
STYLE = {
    "figure.dpi": 150,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "svg.hashsalt": "surplus",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


def panels(
    num: int, *, columns: int = 3, width: float = 3.2, height: float = 2.6, share_y: bool = False
) -> tuple[Figure, list["Axes"]]:
    """Return a figure with a number of panels side by side.

    Raises:
        InvalidArgument: there are none.
    """
    if num < 1 or columns < 1:
        raise InvalidArgument(f"There is nothing to draw: {num} panels in {columns} columns.")
    columns = min(num, columns)
    lines = -(-num // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width * columns, height * lines), layout="constrained")
        axes = figure.subplots(lines, columns, squeeze=False, sharey=share_y).flatten().tolist()
        for spare in axes[num:]:
            spare.remove()
    return figure, axes[:num]


def lines(
    frame: pandas.DataFrame,
    x: str,
    y: str,
    *,
    by: str | None = None,
    across: str | Sequence[str] | None = None,
    replica: str = "replica",
    labels: tuple[str, str] | None = None,
    log: Literal["", "x", "y", "xy"] = "",
    share_y: bool = False,
    columns: int = 3,
) -> Figure:
    """Draw a line for each value of `by`, in a panel for each value of `across`, with a band over the replicas.

    The band is the 95 % interval of the mean over replicas; where there is one replica only, there is none. Several
    rows of a replica at one place are averaged first.

    Args:
        frame: One row per point.
        x: The column along the horizontal axis.
        y: The column of the values.
        by: The column whose values are lines.
        across: The column or columns whose values are panels.
        replica: The column that tells replicas apart.
        labels: What to write at the axes; None takes the columns' names.
        log: The axes that are logarithmic.
        share_y: Whether all panels have one vertical range.
        columns: How many panels stand side by side.

    Raises:
        UnknownName: there is no such column.
        InvalidArgument: there are no rows.
    """
    keys = [across] if isinstance(across, str) else list(across or ())
    _check_columns(frame, x, y, replica, *keys, *([] if by is None else [by]))
    groups: list[tuple[Any, pandas.DataFrame]] = (
        list(frame.groupby(keys, sort=False, dropna=False)) if keys else [((), frame)]
    )
    names = list(dict.fromkeys(frame[by])) if by else [None]
    with mpl.rc_context(STYLE):
        figure, axes = panels(len(groups), share_y=share_y, columns=columns)
        for place, (axis, (values, part)) in enumerate(zip(axes, groups, strict=True)):
            for number, name in enumerate(names):
                rows = part if by is None else _having(part, by, name)
                if len(rows):
                    words = None if by is None else _titled(by, name)
                    _line(axis, rows, x, y, replica, words, number)
            axis.set_title(", ".join(map(_titled, keys, values)))
            _scale(axis, log)
            axis.set_xlabel(labels[0] if labels else x)
            if not place % columns:
                axis.set_ylabel(labels[1] if labels else y)
        if not share_y:
            _limit(axes)
        if by:
            legend(figure, axes)
    return figure


def _check_columns(frame: pandas.DataFrame, *needed: str) -> None:
    for each in needed:
        if each not in frame:
            raise unknown_name("column", each, list(frame))
    if frame.empty:
        raise InvalidArgument(
            f"There is nothing to draw: no rows of `{needed[1]}` over `{needed[0]}`."
        )


def _having(frame: pandas.DataFrame, column: str, value: Any) -> pandas.DataFrame:
    """Return the rows with a value, which may be missing."""
    return frame[frame[column].isna() if pandas.isna(value) else frame[column] == value]


def _scale(axis: "Axes", log: str) -> None:
    """Make axes logarithmic, with plain numbers at their ticks: those drawn at, if they are few."""
    for name in log:
        own = axis.xaxis if name == "x" else axis.yaxis
        (axis.set_xscale if name == "x" else axis.set_yscale)("log")
        at = _drawn(axis, name)
        wide = len(at) > 1 and max(at) > 100 * min(at)
        few = name == "x" and len(at) <= FEW
        subs = (1.0,) if wide else (1.0, 2.0, 5.0)
        own.set_major_locator(FixedLocator(at) if few else LogLocator(subs=subs))
        own.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        own.set_minor_locator(NullLocator())


def _limit(axes: Sequence["Axes"]) -> None:
    """Keep wide bands from pressing the lines flat: they may leave the panel by a quarter of the lines' own range."""
    for axis in axes:
        values = _drawn(axis, "y")
        if not values:
            continue
        low, high = axis.get_ylim()
        if axis.get_yscale() == "log":
            room = max((max(values) / min(values)) ** 0.25, 1.2)
            axis.set_ylim(max(low, min(values) / room), min(high, max(values) * room))
        else:
            room = (max(values) - min(values)) / 4 or 1.0
            axis.set_ylim(max(low, min(values) - room), min(high, max(values) + room))


def _drawn(axis: "Axes", name: str) -> list[float]:
    """Return the numbers along an axis at which lines have points; positive ones where it is logarithmic."""
    scale = axis.get_xscale() if name == "x" else axis.get_yscale()
    data = [line.get_xdata() if name == "x" else line.get_ydata() for line in axis.lines]
    values = {float(each) for part in data for each in numpy.asarray(part, dtype=float)}
    return sorted(
        each for each in values if numpy.isfinite(each) and (scale == "linear" or each > 0)
    )


def legend(figure: Figure, axes: Sequence["Axes"]) -> None:
    """Put one legend for all panels below them."""
    found: dict[str, Any] = {}
    for axis in axes:
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    if not found:
        return
    with mpl.rc_context(STYLE):
        figure.legend(
            list(found.values()),
            list(found),
            loc="outside lower center",
            ncols=min(len(found), 4),
        )


def image_bytes(figure: Figure, kind: Literal["svg", "pdf", "png"]) -> bytes:
    """Return a figure's file; the same data give the same bytes."""
    buffer = io.BytesIO()
    nameless: dict[str, None] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format=kind, metadata=nameless)
    return buffer.getvalue()


def _titled(name: str, value: object) -> str:
    """Return what a panel shows: a word says it alone, a number needs its name."""
    return value if isinstance(value, str) else f"{name} {value}"


def _line(
    axis: "Axes",
    rows: pandas.DataFrame,
    x: str,
    y: str,
    replica: str,
    name: str | None,
    number: int,
) -> None:
    each = rows.groupby([x, replica])[y].mean().groupby(level=0)
    mean, n, spread = each.mean(), each.count(), each.std()
    half = spread * stats.t.ppf(0.975, numpy.maximum(n - 1, 1)) / numpy.sqrt(n)
    colour = COLOURS[number % len(COLOURS)]
    marker = "o" if len(mean) < 15 else ""
    dash = DASHES[number // len(COLOURS) % len(DASHES)]
    axis.plot(mean.index, mean, dash, color=colour, label=name, marker=marker, markersize=3)
    if (n > 1).any():
        axis.fill_between(
            mean.index, mean - half, mean + half, color=colour, alpha=0.18, linewidth=0
        )
