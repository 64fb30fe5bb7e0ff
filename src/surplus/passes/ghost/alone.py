"""Gradients by running the examples alone: for what no known operator explains."""

import warnings
from collections.abc import Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from surplus.base import InvalidArgument
from surplus.passes.ghost.direct import Direct, energy
from surplus.passes.ghost.loss import Loss
from surplus.passes.ghost.products import chunks
from surplus.units import evaluating, left_as_found

LIMIT = 2**24
"""Values of per-example gradients that are held at a time."""
NEAR = 1e-3
"""Losses that differ by more than this fraction of the largest one are different."""


@final
class Alone:
    """Runs the examples of a batch one by one, vectorised where the model allows that.

    Args:
        model: The model.
        inputs: The batch, examples first.
        targets: Its targets.
        loss: The loss per example.
        losses: The losses when all examples run together.
        names: The parameters whose gradients are wanted.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        loss: Loss,
        losses: Tensor,
        names: Sequence[str],
    ) -> None:
        self._model, self._loss = model, loss
        self._inputs, self._targets, self._losses = inputs, targets, losses
        parameters = dict(model.named_parameters())
        self._wanted = {name: parameters[name] for name in names}
        self.size = sum(each.numel() for each in self._wanted.values())
        self.num_examples = len(losses)
        self._last: tuple[slice, dict[str, Tensor]] | None = None
        self.vectorised = True

    def shape(self, name: str) -> torch.Size:
        """Return the shape of a parameter."""
        return self._wanted[name].shape

    def slices(self) -> list[slice]:
        """Return slices of the batch whose gradients may be held at a time."""
        return chunks(self.num_examples, self.size, LIMIT)

    def gradients(self, examples: slice) -> dict[str, Tensor]:
        """Return the gradients of some examples for all parameters that are wanted: [examples, *shape].

        Raises:
            InvalidArgument: alone, the examples have other losses than together.
        """
        if self._last is not None and self._last[0] == examples:
            return self._last[1]
        self._last = None
        model = self._model
        with torch.enable_grad(), evaluating(model), left_as_found(model):
            found, losses = (
                self._vectorised(examples) if self.vectorised else self._looped(examples)
            )
        check_same(losses, self._losses[examples])
        self._last = (examples, found)
        return found

    def _vectorised(self, examples: slice) -> tuple[dict[str, Tensor], Tensor]:
        wanted = {name: each.detach() for name, each in self._wanted.items()}

        def alone(values: dict[str, Tensor], one: Tensor, target: Tensor) -> Tensor:
            outputs = functional_call(self._model, values, (one[None],))
            return self._loss(outputs, target[None]).sum()

        run = vmap(grad_and_value(alone), in_dims=(None, 0, 0))
        try:
            with warnings.catch_warnings():
                # Of operators that run in a loop: still faster than a loop of all.
                warnings.filterwarnings("ignore", "There is a performance drop")
                found, losses = run(wanted, self._inputs[examples], self._targets[examples])
        except (RuntimeError, ValueError, TypeError):  # NotImplementedError is a RuntimeError
            # Code that reads values, or an operator without a rule: one after the other then.
            self.vectorised = False
            return self._looped(examples)
        return found, losses

    def _looped(self, examples: slice) -> tuple[dict[str, Tensor], Tensor]:
        found: dict[str, list[Tensor]] = {name: [] for name in self._wanted}
        losses = []
        for place in range(*examples.indices(self.num_examples)):
            one = slice(place, place + 1)
            loss = self._loss(self._model(self._inputs[one]), self._targets[one]).sum()
            gradients: Sequence[Any] = torch.autograd.grad(
                loss, list(self._wanted.values()), allow_unused=True
            )
            for (name, parameter), gradient in zip(self._wanted.items(), gradients, strict=True):
                found[name].append(torch.zeros_like(parameter) if gradient is None else gradient)
            losses.append(loss.detach())
        return {name: torch.stack(each) for name, each in found.items()}, torch.stack(losses)


def check_same(alone: Tensor, together: Tensor) -> None:
    """Refuse a model in which examples change each other's losses.

    Raises:
        InvalidArgument: they do.
    """
    if not bool(together.detach().isfinite().all()):
        raise InvalidArgument("The losses of some examples are NaN or infinite.")
    difference = float((alone.detach() - together.detach()).abs().max())
    largest = float(together.detach().abs().max())
    if not difference <= NEAR * largest:
        raise InvalidArgument(
            "Per-example gradients are asked for, but the model mixes examples or draws random numbers: run in other"
            f" company, an example's loss changes by {difference:.2g} (losses are up to {largest:.2g}). Replace what"
            " looks at the whole batch, such as means over the batch axis."
        )


@final
class OfOne:
    """The gradients of one parameter among those that are found by running the examples alone."""

    def __init__(self, source: Alone, name: str) -> None:
        self._source, self._name = source, name

    @property
    def num_examples(self) -> int:
        """The examples of the batch."""
        return self._source.num_examples

    @property
    def num_axes(self) -> int:
        """The axes of the parameter."""
        return len(self._source.shape(self._name))

    @property
    def num_columns(self) -> int:
        """The columns in which `columns` counts."""
        return self._source.shape(self._name).numel()

    @property
    def column_size(self) -> int:
        """The values in a column."""
        return 1

    def squared_norms(self) -> Float[Tensor, " batch"]:
        """Return the squared norm of each example's gradient, in float64."""
        slices = self._source.slices()
        return torch.cat([energy(self.columns(each, 0, self.num_columns)) for each in slices])

    def dots(self, direction: Float[Tensor, " values"]) -> Float[Tensor, " batch"]:
        """Return the scalar product of each example's gradient with a direction, flattened, in float64."""
        slices = self._source.slices()
        parts = [self.columns(each, 0, self.num_columns) for each in slices]
        return torch.cat(
            [(part * direction.to(part)).sum(1, dtype=torch.float64) for part in parts]
        )

    def gradients(self, examples: slice) -> Tensor:
        """Return the gradients of some examples: [examples, *shape]."""
        return self._source.gradients(examples)[self._name].detach()

    def columns(self, examples: slice, start: int, stop: int) -> Tensor:
        """Return part of the gradients of some examples: [examples, values]."""
        found = self.gradients(examples)
        return found.reshape(len(found), -1)[:, start:stop]

    def compact(self) -> "OfOne | Direct":
        """Return what takes the least memory: the gradients, where they are few."""
        if self.num_examples * self.num_columns > LIMIT:
            return self
        return Direct(torch.cat([self.gradients(each) for each in self._source.slices()]))
