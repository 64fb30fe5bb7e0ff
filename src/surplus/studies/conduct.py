"""Conduct a study: train and compute what is missing, then collect what was found."""

import pandas

from surplus.base import Cell, Table
from surplus.methods import Context, train_all
from surplus.studies.claim import Scale
from surplus.studies.found import Found
from surplus.studies.grid import Grid
from surplus.studies.study import Study


def conduct(study: Study, context: Context, scale: Scale = "smoke") -> Found:
    """Train and compute in this process."""
    grid = Grid(study, context)
    train_all(
        [(spec, seed) for spec, seed, _ in grid.specs().values()], context, f"study {study.kind}"
    )
    for replica, method in grid.computations():
        method.apply(replica.run, context)
    return collected(grid, scale)


def collected(grid: Grid, scale: Scale) -> Found:
    """Return what the methods of a study found, in the order of its arms, replicas and rows."""
    rows: dict[str, list[dict[str, Cell]]] = {}
    for replica in grid.replicas:
        front = replica.labelled()
        for method in replica.arm.methods:
            known = method.known(replica.run)
            assert known is not None
            for name, table in known.tables.items():
                rows.setdefault(f"{method.kind}/{name}", []).extend(
                    {**front, **row} for row in table.rows()
                )
    frames = {name: pandas.DataFrame(Table.from_rows(each).columns) for name, each in rows.items()}
    return Found(frames, scale)
