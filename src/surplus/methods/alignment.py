"""Alignment: how near weight vectors are to the directions that a made task consists of."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from surplus.base import Cell, InvalidArgument, Table, register
from surplus.methods.context import Context
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.runs import model_of, spec_of, units_of
from surplus.store import Run
from surplus.tasks import Synthetic


@register("alignment")
@dataclass(frozen=True, kw_only=True, slots=True)
class Alignment(Method):
    """Find the direction of the task that each unit's weight vector is nearest to, at the first and the last snapshot.

    `units` has one row per snapshot and unit: the nearest direction and the angle to it, the norm, the norm of the
    fan-out and its strongest entry. `directions` has one row per snapshot and direction: the angle to the nearest unit
    among all, and among those whose norm is a share of the largest, and the fan-out norm of that unit.

    Reference: brutzkus2019larger, the experiments, where filters are compared with the patterns.
    """

    references = ("brutzkus2019larger",)

    layer: str | None = None
    """The layer; None takes the first."""
    share: float = 0.3
    """Units whose norm is below this share of the largest one are left out among the grown ones."""
    every: bool = False
    """Look at all snapshots, not at the first and the last alone."""

    def steps(self, run: Run) -> list[int]:
        """Return the snapshots."""
        known = sorted(run.snapshots())
        return known if self.every else sorted({*known[:1], *known[-1:]})

    def compute(self, run: Run, context: Context) -> Results:
        """Compare weight vectors with directions.

        Raises:
            InvalidArgument: the task is not made of known directions, or they are not of the layer's size.
        """
        task = spec_of(run).task
        if not isinstance(task, Synthetic):
            raise InvalidArgument(
                f"`{task.kind}` is not made of known directions, so there is nothing to be aligned with."
            )
        units: list[dict[str, Cell]] = []
        directions: list[dict[str, Cell]] = []
        for step in self.steps(run):
            model, _ = model_of(run, step)
            found = units_of(run, model, context)
            name = self.layer or next(iter(found)).name
            W, fan_out = found.weight_vectors(name), found.outgoing(name)
            degrees = angles(W, task.directions)
            units += ({"step": step, **row} for row in _units(W, fan_out, degrees))
            grown = W.norm(dim=1) >= self.share * W.norm(dim=1).max()
            directions += ({"step": step, **row} for row in _directions(degrees, grown, fan_out))
        return Results(
            tables={"units": Table.from_rows(units), "directions": Table.from_rows(directions)}
        )


def angles(W: Tensor, directions: Tensor) -> Tensor:
    """Return the angle in degrees of every row to every direction.

    Raises:
        InvalidArgument: they are not of one length.
    """
    if W.shape[1] != directions.shape[1]:
        raise InvalidArgument(
            f"The task's directions have {directions.shape[1]} entries, the layer's weight vectors {W.shape[1]}."
        )
    cosines = F.normalize(W.double(), dim=1) @ F.normalize(directions.double(), dim=1).T
    return torch.rad2deg(torch.arccos(cosines.clamp(-1, 1)))


def _units(W: Tensor, fan_out: Tensor, degrees: Tensor) -> Iterator[dict[str, Cell]]:
    nearest = degrees.min(dim=1)
    strongest = fan_out.gather(1, fan_out.abs().argmax(1, keepdim=True))[:, 0]
    for unit in range(len(W)):
        yield {
            "unit": unit,
            "direction": int(nearest.indices[unit]),
            "angle_degrees": float(nearest.values[unit]),
            "norm": float(W[unit].norm()),
            "fan_out_norm": float(fan_out[unit].norm()),
            "fan_out_strongest": float(strongest[unit]),
        }


def _directions(degrees: Tensor, grown: Tensor, fan_out: Tensor) -> Iterator[dict[str, Cell]]:
    among = degrees.masked_fill(~grown[:, None], float("inf"))
    for direction in range(degrees.shape[1]):
        unit = int(degrees[:, direction].argmin())
        yield {
            "direction": direction,
            "angle_degrees": float(degrees[unit, direction]),
            "grown_angle_degrees": float(among[:, direction].min()),
            "unit": unit,
            "fan_out_norm": float(fan_out[unit].norm()),
        }
