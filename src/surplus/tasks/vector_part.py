"""The parts of a synthetic task: numbers in memory, batches by index."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class VectorPart:
    """Labelled inputs of any shape in memory, given as they are."""

    inputs: Float[Tensor, "examples ..."]
    targets: Int[Tensor, " examples"]
    changed: Bool[Tensor, " examples"]
    """Which labels differ from the true ones."""
    batch_size: int = 1000
    """How many examples each step of iteration yields."""

    def __len__(self) -> int:
        return len(self.targets)

    def __iter__(self) -> Iterator[tuple[Float[Tensor, "batch ..."], Int[Tensor, " batch"]]]:
        for start in range(0, len(self), self.batch_size):
            chosen = slice(start, start + self.batch_size)
            yield self._typed(self.inputs[chosen]), self.targets[chosen]

    def batch(
        self, index: Int[Tensor, "*where"]
    ) -> tuple[Float[Tensor, "..."], Int[Tensor, "*where"]]:
        """Return inputs and labels at the given positions, in the shape of `index`."""
        flat = index.reshape(-1)
        inputs = self._typed(self.inputs.index_select(0, flat))
        targets = self.targets.index_select(0, flat)
        return inputs.view(*index.shape, *self.inputs.shape[1:]), targets.view(index.shape)

    def to(self, device: torch.device | str) -> "VectorPart":
        """Return the part with its tensors on `device`."""
        return replace(
            self,
            inputs=self.inputs.to(device),
            targets=self.targets.to(device),
            changed=self.changed.to(device),
        )

    def _typed(self, inputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        return inputs.to(torch.get_default_dtype())
