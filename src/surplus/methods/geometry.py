"""Weight geometry over a run: norms of the weight vectors and frame potential at every snapshot."""

from dataclasses import dataclass

import torch

from surplus.base import Cell, Table, register
from surplus.methods.context import Context
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.runs import model_of, units_of
from surplus.passes.geometry import frame_potential, frame_potential_bounds
from surplus.store import Run


@register("geometry")
@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry(Method):
    """Follow the weight vectors of every layer through the snapshots of a run.

    `norms` has one row per snapshot, layer and unit; `potentials` one per snapshot and layer: the frame potential of
    the units that are not zero, and the least and greatest value that many units could have.

    Reference: heitmann2020sources, Section 2; benedetto2003finite for the bounds.
    """

    references = ("heitmann2020sources", "benedetto2003finite")

    def steps(self, run: Run) -> list[int]:
        """Return all snapshots."""
        return sorted(run.snapshots())

    def compute(self, run: Run, context: Context) -> Results:
        """Read every snapshot once."""
        norms: list[dict[str, Cell]] = []
        potentials: list[dict[str, Cell]] = []
        for step in self.steps(run):
            model, _ = model_of(run, step)
            units = units_of(run, model, context)
            for group in units:
                rows = units.weight_vectors(group.name)
                lengths = rows.norm(dim=1)
                norms += [
                    {"step": step, "layer": group.name, "unit": unit, "norm": float(length)}
                    for unit, length in enumerate(lengths)
                ]
                kept = lengths > 0
                least, greatest = frame_potential_bounds(int(kept.sum()), rows.shape[1])
                potentials.append(
                    {
                        "step": step,
                        "layer": group.name,
                        "num_units": int(kept.sum()),
                        "frame_potential": frame_potential(rows, kept),
                        "least": least,
                        "greatest": greatest,
                        "mean_norm": float(torch.mean(lengths[kept])) if kept.any() else None,
                    }
                )
        return Results(
            tables={"norms": Table.from_rows(norms), "potentials": Table.from_rows(potentials)}
        )
