"""Where replicas stand in their random subspaces."""

from collections.abc import Mapping, Sequence
from typing import final

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from surplus.base import InvalidArgument, derive
from surplus.training.layout import ALIGNED, Layout, crop, up
from surplus.training.optimizers.subspace import Subspace


@final
class Coordinates:
    """The coordinates of each replica, and how its parameters follow from them: theta = theta_0 + P x.

    Each replica is projected by itself, so that its numbers do not depend on how many others train beside it.

    Args:
        subspace: How many coordinates, and how they are projected.
        layout: Where each parameter sits in a row.
        seeds: The replicas' seeds, which the subspaces are drawn from.
        device: Where the rows lie.

    Raises:
        InvalidArgument: there are more coordinates than parameters.
    """

    rows: Float[Tensor, "replicas coordinates"]
    """The coordinates, padded with zeros."""
    _origin: Float[Tensor, "replicas entries"] | None
    """The parameters at coordinates 0, without padding; None before the first update, when they are where they are."""

    def __init__(
        self, subspace: Subspace, layout: Layout, seeds: Sequence[int], device: torch.device
    ) -> None:
        self.dimension = subspace.dimension
        self._entries = _entries(layout).to(device)
        count = len(self._entries)
        if self.dimension > count:
            raise InvalidArgument(
                f"`dimension` is {self.dimension}, but the network has only {count} trained parameters."
            )
        self._maps = [
            subspace.projection.build(count, self.dimension, derive(seed, "subspace"), device)
            for seed in seeds
        ]
        self.rows = torch.zeros(len(seeds), up(self.dimension, ALIGNED), device=device)
        self._origin = None

    def view(
        self, rows: Float[Tensor, "replicas coordinates"]
    ) -> Float[Tensor, "replicas dimension"]:
        """Return rows of coordinates without their padding."""
        return rows[:, : self.dimension]

    def pulled(
        self, gradients: Float[Tensor, "replicas params"]
    ) -> Float[Tensor, "replicas coordinates"]:
        """Return the gradients by the coordinates, given those by the parameters."""
        found = torch.zeros_like(self.rows)
        for row, gradient, each in zip(self.view(found), gradients, self._maps, strict=True):
            row.copy_(each.adjoint(gradient.index_select(0, self._entries)))
        return found

    def begin(self, parameters: Float[Tensor, "replicas params"]) -> None:
        """Take the parameters as the origin, unless there is one."""
        if self._origin is None:
            self._origin = parameters.detach().index_select(1, self._entries)

    def place_(self, parameters: Float[Tensor, "replicas params"]) -> None:
        """In place: set the parameters to where the coordinates are."""
        assert self._origin is not None
        rows = zip(parameters, self._origin, self.view(self.rows), self._maps, strict=True)
        for row, origin, coordinates, each in rows:
            row.index_copy_(0, self._entries, origin + each.expand(coordinates))

    def state(
        self, replica: int, parameters: Float[Tensor, "replicas params"]
    ) -> dict[str, Shaped[Tensor, "..."]]:
        """Return one replica's coordinates and origin by name, copied."""
        origin = self._origin
        if origin is None:
            origin = parameters.detach().index_select(1, self._entries)
        found = {"coordinates": self.view(self.rows)[replica], "origin": origin[replica]}
        return {name: tensor.to("cpu", copy=True) for name, tensor in found.items()}

    def load(
        self,
        replica: int,
        parameters: Float[Tensor, "replicas params"],
        tensors: Mapping[str, Shaped[Tensor, "..."]],
    ) -> None:
        """Set one replica's coordinates and origin; the parameters are those of all replicas."""
        self.begin(parameters)
        assert self._origin is not None
        self._origin[replica] = tensors["origin"].to(self._origin)
        self.view(self.rows)[replica] = tensors["coordinates"].to(self.rows)


def _entries(layout: Layout) -> Int[Tensor, " entries"]:
    """Return where the entries of all parameters lie in a row, without the padding between them."""
    places = layout.views(torch.arange(layout.width, dtype=torch.float64)[None])
    kept = [crop(places[place.name][0], place.shape).flatten() for place in layout.places]
    return torch.cat(kept).long()
