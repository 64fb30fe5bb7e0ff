"""A network of which some layers begin with other weights."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from surplus.base import InvalidArgument, Net, derive, register, unknown_name


@register("redrawn")
@dataclass(frozen=True, kw_only=True, slots=True)
class Redrawn(Net):
    """Another network whose named layers are initialised from a second stream; everything else is as it was.

    A run of it beside one of the inner network, with the same seed, sees the same batches in the same order: they
    differ in the initial weights of the named layers, and in what follows from these.

    Reference: heitmann2020sources, Section 4, where one layer is re-sampled.
    """

    references: ClassVar = ("heitmann2020sources",)

    inner: Net
    """The network."""
    layers: tuple[str, ...]
    """The layers that begin with other weights; a name also means every layer inside it."""
    draw: int = 1
    """Which other weights."""

    def __post_init__(self) -> None:
        if not self.layers:
            raise InvalidArgument(
                "`layers` is empty; name the layers that are to begin with other weights."
            )

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Module:
        """Return the network at initialisation; see `Net.build`."""
        model = self.inner.build(input_shape, num_classes, seed)
        other = self.inner.build(input_shape, num_classes, derive(seed, "redrawn", self.draw))
        known = dict(model.named_modules())
        for name in self.layers:
            if name not in known:
                raise unknown_name("layer", name, known)
            if next(known[name].parameters(), None) is None:
                raise InvalidArgument(
                    f"The layer `{name}` has no weights that it could begin with; name one that has."
                )
            with torch.no_grad():
                for mine, theirs in zip(
                    known[name].parameters(), other.get_submodule(name).parameters(), strict=True
                ):
                    mine.copy_(theirs)
        return model
