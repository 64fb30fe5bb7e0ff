"""The report: what is measured when nothing is asked for by name."""

from surplus.measures.accuracy_rank import AccuracyRank
from surplus.measures.activation_rank import ActivationRank
from surplus.measures.cka import CKA
from surplus.measures.coherence import GradientCoherence
from surplus.measures.dead_units import DeadUnits
from surplus.measures.distance_from_init import DistanceFromInit
from surplus.measures.frame_potential import FramePotential
from surplus.measures.free_parameters import FreeParameters
from surplus.measures.generalisation_gap import GeneralisationGap
from surplus.measures.marchenko_pastur import MarchenkoPasturFit
from surplus.measures.measure import Measure
from surplus.measures.movement import Movement
from surplus.measures.neural_collapse import NeuralCollapse
from surplus.measures.removable_units import RemovableUnits
from surplus.measures.repeated_units import RepeatedUnits
from surplus.measures.spectrum import Spectrum
from surplus.measures.synchronised_units import SynchronisedUnits


def report_measures() -> tuple[Measure, ...]:
    """Return the measures of the report: they say what could go, and cost little beside the pass over the data."""
    return (
        DeadUnits(),
        RepeatedUnits(),
        SynchronisedUnits(),
        RemovableUnits(),
        AccuracyRank(),
        ActivationRank(),
        FramePotential(),
        FreeParameters(),
        Spectrum(),
        MarchenkoPasturFit(),
        Movement(),
        DistanceFromInit(),
        CKA(),
        NeuralCollapse(),
        GradientCoherence(),
        GeneralisationGap(num_examples=5_000),
    )
