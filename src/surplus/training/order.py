"""Which examples an update sees: a function of the seed and the step, with nothing to store."""

from typing import final

import torch
from jaxtyping import Int
from torch import Tensor

from surplus.base import Clock, derive


@final
class Order:
    """The order of the train part: a new permutation each epoch, cut into whole batches.

    It depends on nothing but the seed and the step, so a resumed run, a fork and a sibling with the same seed see the
    same batches.
    """

    def __init__(self, seed: int, num_train: int, batch_size: int, clock: Clock) -> None:
        self._seed = seed
        self._num_train = num_train
        self._batch_size = batch_size
        self._steps_per_epoch = clock.steps_per_epoch
        self._epoch = -1
        self._permutation: Int[Tensor, " examples"] | None = None

    def batch(self, step: int) -> Int[Tensor, " batch"]:
        """Return the positions of the examples that the update from `step` to `step + 1` sees."""
        epoch, place = divmod(step, self._steps_per_epoch)
        if self._permutation is None or epoch != self._epoch:
            generator = torch.Generator().manual_seed(derive(self._seed, "order", epoch))
            self._permutation = torch.randperm(self._num_train, generator=generator)
            self._epoch = epoch
        start = place * self._batch_size
        return self._permutation[start : start + self._batch_size]
