"""An arm of a study: one spec under the labels by which the study knows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from surplus.base import Cell, InvalidArgument
from surplus.methods import Method
from surplus.training import Spec

RESERVED = ("replica", "run", "method")  # columns that every table has or may have


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

    def __post_init__(self) -> None:
        for name, value in self.labels.items():
            if name in RESERVED:
                raise InvalidArgument(
                    f"An arm has the label `{name}`, which is a column of every table; call it something else."
                )
            if not isinstance(value, str | int | float | None):
                raise InvalidArgument(
                    f"The label `{name}` is a {type(value).__name__}; labels are words, numbers, truth values or None."
                )
        seeds = self.seeds
        if seeds is not None and (
            not seeds
            or len(set(seeds)) < len(seeds)
            or not all(type(each) is int and each >= 0 for each in seeds)
        ):
            raise InvalidArgument(
                f"The `seeds` of an arm are {seeds}; they are different whole numbers from 0 on, at least one."
            )
