"""The parts of a task that is made, not read: inputs as float32 numbers, in one tensor, batches by index."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class VectorPart:
    """Examples in memory as the network gets them; targets are labels, or numbers to come near."""

    inputs: Float[Tensor, "examples ..."]
    targets: Shaped[Tensor, "examples ..."]
    changed: Bool[Tensor, " examples"]
    """Whose targets carry noise: flipped labels."""
    batch_size: int = 1000
    """How many examples each step of iteration yields."""

    def __len__(self) -> int:
        return len(self.targets)

    def __iter__(self) -> Iterator[tuple[Float[Tensor, "batch ..."], Shaped[Tensor, "batch ..."]]]:
        for start in range(0, len(self), self.batch_size):
            chosen = slice(start, start + self.batch_size)
            yield self._typed(self.inputs[chosen]), self.targets[chosen]

    def batch(
        self, index: Int[Tensor, "*where"]
    ) -> tuple[Float[Tensor, "*where_and_input"], Shaped[Tensor, "*where_and_target"]]:
        """Return inputs and targets at the given positions, in the shape of `index`."""
        flat = index.reshape(-1)
        inputs = self._typed(self.inputs.index_select(0, flat))
        targets = self.targets.index_select(0, flat)
        return (
            inputs.view(*index.shape, *inputs.shape[1:]),
            targets.view(*index.shape, *targets.shape[1:]),
        )

    def take(self, index: Int[Tensor, " chosen"]) -> "VectorPart":
        """Return the part that holds only the given positions, in that order."""
        return replace(
            self,
            inputs=self.inputs[index],
            targets=self.targets[index],
            changed=self.changed[index],
        )

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


def vector_part(
    inputs: Float[Tensor, "examples ..."],
    targets: Shaped[Tensor, "examples ..."],
    changed: Bool[Tensor, " examples"] | None = None,
) -> VectorPart:
    """Return a part; without `changed` no target carries noise."""
    if changed is None:
        changed = torch.zeros(len(inputs), dtype=torch.bool)
    return VectorPart(inputs=inputs, targets=targets, changed=changed)
