"""The clock of a run: how steps, epochs and the end relate."""

from typing import NamedTuple


class Clock(NamedTuple):
    """The length of a run in steps.

    The state at step k is the state after k updates; step 0 is initialisation and `num_steps` is the end.
    """

    num_steps: int
    steps_per_epoch: int
