"""What an engine keeps of each replica besides the network's buffers, and what an update does with it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import final

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from surplus.base import InvalidArgument
from surplus.training.coordinates import Coordinates
from surplus.training.layout import Layout, crop
from surplus.training.optimizer import Update
from surplus.training.optimizers.subspace import subspace_of
from surplus.training.spec import Training


@final
class Rows:
    """Parameters, gradients, optimiser state and masks, one flat row for each replica; and the losses so far.

    Args:
        layout: Where each parameter sits in a row.
        trainings: How each replica is trained: alike but for learning rate and weight decay.
        seeds: The replicas' seeds, which random subspaces are drawn from.
        device: Where the rows lie.
    """

    parameters: Float[Tensor, "replicas params"]
    gradients: Float[Tensor, "replicas params"]
    loss_sum: Float[Tensor, " replicas"]
    """The training losses since they were last taken."""
    loss_count: int
    _kept: Float[Tensor, "replicas params"] | None

    def __init__(
        self,
        layout: Layout,
        trainings: Sequence[Training],
        seeds: Sequence[int],
        device: torch.device,
    ) -> None:
        self.layout = layout
        self._device = device
        self._optimizer = trainings[0].optimizer
        self._rates = _column([each.optimizer.learning_rate for each in trainings], device)
        self._decays = _column([each.optimizer.weight_decay for each in trainings], device)
        self._has_decay = bool(self._decays.any())
        self._shapes = {place.name: place.shape for place in layout.places}
        count = len(trainings)
        self.parameters = layout.rows(count, device)
        self.gradients = layout.rows(count, device)
        subspace = subspace_of(self._optimizer)
        self._coordinates = None
        if subspace is not None:
            self._coordinates = Coordinates(subspace, layout, seeds, device)
        trained = self.parameters if self._coordinates is None else self._coordinates.rows
        self._slots = {name: torch.zeros_like(trained) for name in self._optimizer.slots}
        self._kept = None
        self._updates = 0
        self.loss_sum = torch.zeros(count, device=device, dtype=torch.float64)
        self.loss_count = 0

    def gather(
        self,
        groups: Sequence[slice],
        differentiate: Callable[[int, slice], Float[Tensor, " replicas"]],
    ) -> Float[Tensor, " replicas"]:
        """Fill the gradients' rows by what the optimiser makes of the gradients of groups of examples.

        Args:
            groups: The groups, as parts of the batch.
            differentiate: Fills the gradients' rows by those of a group, given its number and the group, and returns
                the group's mean losses.

        Returns:
            The mean losses over all examples.
        """
        total = torch.zeros_like(self.loss_sum)

        def gradients() -> Iterator[Float[Tensor, "replicas params"]]:
            for place, group in enumerate(groups):
                total.add_(differentiate(place, group), alpha=group.stop - group.start)
                yield self.gradients

        self.gradients.copy_(self._optimizer.combine(gradients()))
        return total / groups[-1].stop

    def update(self, losses: Float[Tensor, " replicas"], amount: float) -> None:
        """Update every replica once by the gradients that lie in their rows.

        Args:
            losses: The losses that they are the gradients of.
            amount: The schedule's factor on the learning rate.
        """
        self.loss_sum += losses
        self.loss_count += 1
        self._updates += 1
        parameters, gradients = self.parameters, self.gradients
        if self._coordinates is not None:
            self._coordinates.begin(self.parameters)
            kept = gradients if self._kept is None else gradients.mul_(self._kept)
            parameters, gradients = self._coordinates.rows, self._coordinates.pulled(kept)
        self._optimizer.update(
            Update(
                parameters,
                gradients,
                self._slots,
                self._rates * amount,
                self._decays,
                self._has_decay,
                self._updates,
            )
        )
        if self._coordinates is not None:
            self._coordinates.place_(self.parameters)
        if self._kept is not None:
            self.parameters.mul_(self._kept)

    def set_mask(self, replica: int, weights: Mapping[str, Bool[Tensor, "..."]]) -> None:
        """Make one replica keep to a mask from now on: what it removes is zero, and so is its optimiser state.

        In a subspace the state belongs to coordinates, which move all parameters, and stays.

        Args:
            replica: Which.
            weights: Which entries are kept, for every parameter that the mask touches.
        """
        if self._kept is None:
            self._kept = self.layout.rows(len(self.parameters), self._device, fill=1.0)
        views = self.layout.views(self._kept)
        self._kept[replica] = 1.0
        for name, kept in weights.items():
            crop(views[name][replica], self._shapes[name]).copy_(kept)
        removed = self._kept == 0  # not a product: a removed NaN or infinity must go, too
        slots = self._slots.values() if self._coordinates is None else ()
        for rows in (self.parameters, *slots):
            rows.masked_fill_(removed, 0.0)

    def state(self, replica: int) -> dict[str, Shaped[Tensor, "..."]]:
        """Return one replica's optimiser state by slot and parameter, with its count of updates."""
        found = {
            f"{slot}/{name}": view[replica].to("cpu", copy=True)
            for slot, rows in self._slots.items()
            for name, view in self._named(rows).items()
        }
        if self._coordinates is not None:
            found |= self._coordinates.state(replica, self.parameters)
        found["updates"] = torch.tensor(self._updates)
        found["loss_sum"] = self.loss_sum[replica].to("cpu", copy=True)
        found["loss_count"] = torch.tensor(self.loss_count)
        return found

    def load_state(self, replica: int, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> None:
        """Set one replica's optimiser state."""
        for slot, rows in self._slots.items():
            for name, view in self._named(rows).items():
                view[replica].copy_(tensors[f"{slot}/{name}"])
        if self._coordinates is not None:
            self._coordinates.load(replica, self.parameters, tensors)
        self._updates = int(tensors["updates"])
        self.loss_sum[replica] = tensors["loss_sum"]
        self.loss_count = int(tensors["loss_count"])

    def take_losses(self) -> list[float]:
        """Return each replica's mean training loss since the last call, and begin anew."""
        means = (self.loss_sum / max(1, self.loss_count)).tolist()
        self.loss_sum.zero_()
        self.loss_count = 0
        return means

    def _named(self, rows: Float[Tensor, "replicas _"]) -> dict[str, Float[Tensor, "replicas ..."]]:
        """Return what lies in a slot by name, without padding: an entry for each parameter, or for each coordinate."""
        if self._coordinates is not None:
            return {"coordinates": self._coordinates.view(rows)}
        views = self.layout.views(rows)
        return {name: crop(view, self._shapes[name]) for name, view in views.items()}


def check_tensors(
    tensors: Mapping[str, Shaped[Tensor, "..."]], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse tensors that are not those of a network.

    Raises:
        InvalidArgument: one is missing, has another shape, or is none of the network's.
    """
    unknown = sorted(tensors.keys() - shapes.keys())
    if unknown:
        raise InvalidArgument(f"The network has no `{unknown[0]}`; a replica of it holds one.")
    for name, shape in shapes.items():
        given = tensors.get(name)
        if given is None or tuple(given.shape) != shape:
            found = "missing" if given is None else f"of shape {tuple(given.shape)}"
            raise InvalidArgument(f"`{name}` is {found}; the network has {shape}.")


def _column(values: Sequence[float], device: torch.device) -> Float[Tensor, "replicas 1"]:
    return torch.tensor(values, device=device)[:, None]
