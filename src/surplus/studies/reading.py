"""Reading what a study found of its runs: the last look, one number per replica, what changed."""

from collections.abc import Sequence

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
