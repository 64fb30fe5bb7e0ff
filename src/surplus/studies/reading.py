"""Reading what a study found of its runs: the last look, one number per replica, what changed, what grows."""

from collections.abc import Sequence

import numpy
import pandas


def at_the_end(frame: pandas.DataFrame, by: Sequence[str]) -> pandas.DataFrame:
    """Return the rows of the last step of each arm.

    Args:
        frame: Rows with a column `step`.
        by: The columns that tell arms apart.
    """
    return frame[frame["step"] == frame.groupby(list(by))["step"].transform("max")]


def by_replica(frame: pandas.DataFrame, quantity: str, layer: str) -> "pandas.Series[float]":
    """Return a quantity of a layer by replica; NaN where a replica has none."""
    rows = frame[(frame["quantity"] == quantity) & (frame["layer"] == layer)]
    values = rows.set_index("replica")["value"].astype(float)
    return values.reindex(sorted(frame["replica"].unique()))


def gained(
    frame: pandas.DataFrame, quantity: str, layer: str, by: str
) -> "dict[str, pandas.Series[float]]":
    """Return the last less the first value of a quantity of a layer, by replica, for each value of a column."""
    rows = frame[(frame["quantity"] == quantity) & (frame["layer"] == layer)].sort_values("step")
    return {
        str(name): each.groupby("replica")["value"].agg(
            lambda values: values.iloc[-1] - values.iloc[0]
        )
        for name, each in rows.groupby(by)
    }


def exponents(
    frame: pandas.DataFrame, x: str, y: str, by: str = "replica"
) -> "pandas.Series[float]":
    """Return the exponent with which a column grows with another, the slope of log y over log x, of each replica.

    It is NaN where a replica has fewer than two places, or a value that is missing or not positive.

    Example:
        >>> frame = pandas.DataFrame({"replica": 0, "width": [2, 4, 8], "rank": [3, 12, 48]})
        >>> float(round(exponents(frame, "width", "rank")[0], 6))
        2.0
    """
    return frame.groupby(by)[[x, y]].apply(lambda rows: _exponent(rows[x], rows[y]))


def _exponent(x: "pandas.Series[float]", y: "pandas.Series[float]") -> float:
    if y.isna().any() or (y <= 0).any() or x.nunique() < 2:
        return float("nan")
    across, up = numpy.log2(x.astype(float)), numpy.log2(y.astype(float))
    centred = across - across.mean()
    return float((centred * up).sum() / (centred**2).sum())
