"""The parts of a classification task: images as bytes, in one tensor, batches by index."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class ImagePart:
    """Labelled images in memory, standardised batch by batch.

    The bytes stay bytes (a quarter of the memory of float32, at no cost per step); `batch` converts what it returns
    to (value / scale - mean) / std.
    """

    images: UInt8[Tensor, "examples channels height width"]
    targets: Int[Tensor, " examples"]
    changed: Bool[Tensor, " examples"]
    """Which labels differ from the published ones."""
    mean: tuple[float, ...]
    """Of each channel, after division by `scale`."""
    std: tuple[float, ...]
    scale: float = 255.0
    batch_size: int = 1000
    """How many examples each step of iteration yields."""
    published: Int[Tensor, " examples"] | None = None
    """The published labels; None where they are the `targets`."""

    def __len__(self) -> int:
        return len(self.targets)

    def __iter__(self) -> Iterator[tuple[Float[Tensor, "batch ..."], Int[Tensor, " batch"]]]:
        for start in range(0, len(self), self.batch_size):
            chosen = slice(start, start + self.batch_size)
            yield self._standardised(self.images[chosen]), self.targets[chosen]

    def batch(
        self, index: Int[Tensor, "*where"]
    ) -> tuple[Float[Tensor, "*where channels height width"], Int[Tensor, "*where"]]:
        """Return standardised inputs and labels at the given positions, in the shape of `index`."""
        flat = index.reshape(-1)
        inputs = self._standardised(self.images.index_select(0, flat))
        targets = self.targets.index_select(0, flat)
        return inputs.view(*index.shape, *self.images.shape[1:]), targets.view(index.shape)

    def take(self, index: Int[Tensor, " chosen"]) -> "ImagePart":
        """Return the part that holds only the given positions, in that order."""
        return replace(
            self,
            images=self.images[index],
            targets=self.targets[index],
            changed=self.changed[index],
            published=None if self.published is None else self.published[index],
        )

    def to(self, device: torch.device | str) -> "ImagePart":
        """Return the part with its tensors on `device`."""
        return replace(
            self,
            images=self.images.to(device),
            targets=self.targets.to(device),
            changed=self.changed.to(device),
            published=None if self.published is None else self.published.to(device),
        )

    def as_published(self) -> "ImagePart":
        """Return the same images with their published labels."""
        if self.published is None:
            return self
        changed = torch.zeros_like(self.changed)
        return replace(self, targets=self.published, changed=changed, published=None)

    def _standardised(
        self, images: UInt8[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        values = images.to(torch.get_default_dtype())
        factor, offset = self._affine(values)
        return values.mul_(factor).sub_(offset)

    def _affine(self, like: Tensor) -> tuple[Tensor | float, Tensor | float]:
        factors = [1 / (self.scale * std) for std in self.std]
        offsets = [mean / std for mean, std in zip(self.mean, self.std, strict=True)]
        if len(factors) == 1:
            return factors[0], offsets[0]
        return _per_channel(factors, like), _per_channel(offsets, like)


def _per_channel(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(-1, 1, 1)
