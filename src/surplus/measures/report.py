"""The report: what is measured when nothing is asked for by name, and its verdict in plain words."""

from surplus.measures.dead_units import DeadUnits
from surplus.measures.frame_potential import FramePotential
from surplus.measures.measure import Measure


def report_measures() -> tuple[Measure, ...]:
    """Return the measures of the report: those that one pass serves and that say what could go."""
    return (FramePotential(), DeadUnits())
