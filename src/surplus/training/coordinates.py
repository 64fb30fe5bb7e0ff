"""Where replicas stand in their random subspaces."""

import math
from collections.abc import Mapping, Sequence
from typing import final

import torch
from jaxtyping import Float, Shaped
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
    _origin: Float[Tensor, "replicas params"] | None
    """The parameters at coordinates 0; None before the first update, when they are the parameters themselves."""

    def __init__(
        self, subspace: Subspace, layout: Layout, seeds: Sequence[int], device: torch.device
    ) -> None:
        self.dimension = subspace.dimension
        self._layout = layout
        self._shapes = {place.name: place.shape for place in layout.places}
        count = sum(math.prod(shape) for shape in self._shapes.values())
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
        views = self._views(gradients)
        for replica, each in enumerate(self._maps):
            flat = torch.cat([view[replica].flatten() for view in views.values()])
            self.view(found)[replica] = each.adjoint(flat)
        return found

    def begin(self, parameters: Float[Tensor, "replicas params"]) -> None:
        """Take the parameters as the origin, unless there is one."""
        if self._origin is None:
            self._origin = parameters.detach().clone()

    def place_(self, parameters: Float[Tensor, "replicas params"]) -> None:
        """In place: set the parameters to where the coordinates are."""
        assert self._origin is not None
        parameters.copy_(self._origin)
        views = self._views(parameters)
        for replica, each in enumerate(self._maps):
            moved = each.expand(self.view(self.rows)[replica])
            start = 0
            for name, shape in self._shapes.items():
                stop = start + math.prod(shape)
                views[name][replica] += moved[start:stop].view(shape)
                start = stop

    def state(
        self, replica: int, parameters: Float[Tensor, "replicas params"]
    ) -> dict[str, Shaped[Tensor, "..."]]:
        """Return one replica's coordinates and origin by name, copied."""
        origin = self._views(parameters if self._origin is None else self._origin)
        found = {f"origin/{name}": view[replica] for name, view in origin.items()}
        found["coordinates"] = self.view(self.rows)[replica]
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in found.items()}

    def load(
        self,
        replica: int,
        parameters: Float[Tensor, "replicas params"],
        tensors: Mapping[str, Shaped[Tensor, "..."]],
    ) -> None:
        """Set one replica's coordinates and origin; the parameters are those of all replicas."""
        self.begin(parameters)
        assert self._origin is not None
        for name, view in self._views(self._origin).items():
            view[replica] = tensors[f"origin/{name}"].to(view)
        self.view(self.rows)[replica] = tensors["coordinates"].to(self.rows)

    def _views(
        self, rows: Float[Tensor, "replicas params"]
    ) -> dict[str, Float[Tensor, "replicas ..."]]:
        return {
            name: crop(view, self._shapes[name]) for name, view in self._layout.views(rows).items()
        }
