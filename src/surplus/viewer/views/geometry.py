"""Weight geometry through training: norms of the weight vectors, and frame potential between its bounds."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from surplus.base import register
from surplus.store import Run
from surplus.viewer.views.view import View

MOST_UNITS = 512  # norms of more units than this are thinned out evenly, and the page says so


@register("geometry")
@dataclass(frozen=True, kw_only=True, slots=True)
class Geometry(View):
    """Per layer: the norm of every unit's weight vector, and the frame potential, at every snapshot.

    Reference: own; decisions/0007-plain-members.md.
    """

    def data(self, run: Run) -> Any | None:
        """Return the newest computation of the geometry."""
        computations = run.current("geometry")
        if not computations:
            return None
        tables = computations[-1].tables
        layers: dict[str, Any] = {}
        for row in tables["potentials"].rows():
            layer = layers.setdefault(str(row["layer"]), defaultdict(list))
            for name in ("step", "num_units", "frame_potential", "least", "greatest"):
                layer[name].append(row[name])
        norms: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for row in tables["norms"].rows():
            unit, norm = row["unit"], row["norm"]
            assert isinstance(unit, int) and isinstance(norm, float | int)
            norms[str(row["layer"])][unit].append(float(f"{norm:.4g}"))
        for name, units in norms.items():
            every = -(-len(units) // MOST_UNITS)
            layers[name]["num_norms"] = len(units)
            layers[name]["norms"] = {unit: units[unit] for unit in sorted(units)[::every]}
        return {"layers": layers}
