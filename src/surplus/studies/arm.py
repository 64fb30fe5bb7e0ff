"""An arm of a study: one spec under the labels by which the study knows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from surplus.base import Cell
from surplus.methods import Method
from surplus.training import Spec


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One cell of a study's grid: what is trained, and what is computed from the trained networks.

    Arms may share a spec: its runs are trained once, whichever studies ask for them.
    """

    labels: Mapping[str, Cell]
    """What distinguishes this arm, such as `{"net": "lenet-300-100", "width": 0.5}`: columns of every table."""
    spec: Spec
    """What is trained."""
    methods: tuple[Method, ...] = ()
    """What is computed from each run; the results are kept beside it."""
    seeds: tuple[int, ...] | None = None
    """The replicas; None takes those of the study."""
