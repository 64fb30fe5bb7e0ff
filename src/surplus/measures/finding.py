"""Findings: what measures state, one number each."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One number that a measure states, and all that is needed to read it."""

    quantity: str
    """What it is, with its unit: `num_dead`, `angle_degrees`, `frame_potential`."""
    value: float | int | None
    layer: str | None = None
    """The layer, or None for the whole network."""
    other: str | None = None
    """A second layer, of a pair."""
    unit: int | None = None
    """The unit of the layer."""
    example: int | None = None
    """The example of the data, counted from 0."""
    at: float | None = None
    """Where on a curve: a cut-off, a rank, the number of an eigenvalue."""
    lower: float | None = None
    """The lower end of the 95 % interval of what was estimated from a sample."""
    upper: float | None = None
    n: int | None = None
    """How many examples or draws it rests on."""
    seed: int | None = None
    """Of what was drawn."""
    note: str | None = None
    """Words: a label, or why there is no number."""
