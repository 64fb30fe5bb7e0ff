"""A chain taken apart at one layer: what feeds the units, the layer that reads them, and what comes after."""

from collections.abc import Iterator
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surplus.edits import example_for
from surplus.passes.data import Data, batches
from surplus.units import Group, Units, chain_of, copied, evaluating, is_chain, tensors_of

READERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
NUM_AXES = {nn.Linear: 2, nn.Conv1d: 3, nn.Conv2d: 4}


@final
class Downstream:
    """The part of a chain that removing units of one layer changes.

    The *reader* is the next dense or convolutional layer. Its pre-activation is a sum over units, so removing one
    subtracts that unit's term: everything before the reader never changes, and everything after it follows.
    """

    def __init__(self, model: nn.Module, group: Group) -> None:
        # A copy, so that evaluation mode holds for as long as this object lives and the caller's model stays free.
        self._model = copied(model).eval().requires_grad_(False)
        self.group = group
        layers = chain_of(self._model)
        self._slot = self.group.outgoing[0]
        place = [each for each, _ in layers].index(self._slot.tensor.removesuffix(".weight"))
        self._upstream = [module for _, module in layers[:place]]
        reader = layers[place][1]
        assert isinstance(reader, READERS)
        self.reader = reader
        self.tail = [module for _, module in layers[place + 1 :]]

    @classmethod
    def of(cls, model: nn.Module, units: Units, layer: str) -> "Downstream | None":
        """Take a chain apart at a layer.

        Returns:
            None where a sum over units, updated term by term, is not all that a removal changes: where the model is no
            chain, the layer has several readers or one that does more than sum, or units or examples are coupled.

        Raises:
            InvalidArgument: the layer's units cannot be removed.
        """
        group = units.chosen(layer)
        fits = is_chain(model) and _fits(chain_of(model), group, model, units.example)
        return cls(model, group) if fits else None

    @property
    def num_units(self) -> int:
        """How many units the layer has."""
        return self.group.size

    @property
    def width(self) -> int:
        """How many of the reader's inputs belong to one unit (more than one after a flatten)."""
        return self._slot.index.shape[1]

    @torch.no_grad()
    def inputs(self, data: Data) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield what the reader receives, with the targets, batch by batch, in evaluation mode."""
        for inputs, targets in batches(data, self._model):
            value = inputs
            for module in self._upstream:
                value = module(value)
            yield value, targets

    def empty(self, count: int, input_shape: tuple[int, ...]) -> Tensor:
        """Return the reader's pre-activations for `count` examples when no unit is kept: its bias."""
        nothing = self.reader(self.reader.weight.new_zeros(1, *input_shape))
        return nothing.expand(count, *nothing.shape[1:]).clone()

    def term(self, inputs: Tensor, unit: int) -> Tensor:
        """Return what one unit adds to the reader's pre-activations."""
        own = self._slot.index[unit].to(inputs.device)
        weight = self.reader.weight.index_select(1, own)
        received = inputs.index_select(1, own)
        if isinstance(self.reader, nn.Linear):
            return received @ weight.T
        return _convolve(self.reader, received, weight)

    def outgoing(self) -> Tensor:
        """Return the reader's weights by unit, one contiguous row each; only for a reader with width 1."""
        own = self._slot.index[:, 0].to(self.reader.weight.device)
        return self.reader.weight.detach().index_select(1, own).T.contiguous()

    def by_unit(self, values: Tensor) -> Tensor:
        """Return the reader's inputs, or gradients with respect to them, by unit: [batch, units, positions]."""
        index = self._slot.index.to(values.device)
        chosen = values.index_select(1, index.reshape(-1))
        return chosen.reshape(len(values), len(index), -1)

    def masked(self, inputs: Tensor, kept: Tensor) -> Tensor:
        """Return the reader's inputs with those of the units that are not kept set to zero."""
        removed = self._slot.index[~kept].reshape(-1).to(inputs.device)
        return inputs.index_fill(1, removed, 0.0)

    def read(self, inputs: Tensor) -> Tensor:
        """Return the network's outputs from the reader's inputs, differentiably: [batch, classes]."""
        value = self.reader(inputs)
        for module in self.tail:
            value = module(value)
        return value

    def outputs(self, preactivations: Tensor) -> Tensor:
        """Return the network's outputs, classes first: [classes, examples]; overwrites the pre-activations.

        A rectifier works in place, since fresh buffers cost page faults; a last dense layer is multiplied from the
        left, which gives the layout at no cost.
        """
        value = preactivations
        last = self.tail[-1] if self.tail and type(self.tail[-1]) is nn.Linear else None
        for module in self.tail if last is None else self.tail[:-1]:
            value = value.relu_() if type(module) is nn.ReLU else module(value)
        if last is None:
            return value.T
        product = last.weight @ value.T
        return product if last.bias is None else product.add_(last.bias[:, None])


def _convolve(reader: nn.Conv1d | nn.Conv2d, received: Tensor, weight: Tensor) -> Tensor:
    convolve = F.conv1d if isinstance(reader, nn.Conv1d) else F.conv2d
    if reader.padding_mode != "zeros":
        received = F.pad(
            received, reader._reversed_padding_repeated_twice, mode=reader.padding_mode
        )
        return convolve(received, weight, None, reader.stride, 0, reader.dilation)
    return convolve(received, weight, None, reader.stride, reader.padding, reader.dilation)


def _fits(
    layers: list[tuple[str, nn.Module]], group: Group, model: nn.Module, example: Any
) -> bool:
    """Say whether a sum over units, updated term by term, is all that a removal changes."""
    if group.coupled is not None or len(group.outgoing) != 1 or group.outgoing[0].axis != 1:
        return False
    ids = [id(tensor) for tensor in tensors_of(model).values()]
    if len(set(ids)) < len(ids) or len({id(module) for _, module in layers}) < len(layers):
        return False  # something is used more than once
    name = group.outgoing[0].tensor.removesuffix(".weight")
    reader = dict(layers).get(name)
    if type(reader) not in READERS or getattr(reader, "groups", 1) != 1:
        return False
    if any(not getattr(module, "track_running_stats", True) for _, module in layers):
        return False  # a normalisation takes its statistics from the batch
    return _reads_units_alone(layers, name, model, example)


@torch.no_grad()
def _reads_units_alone(
    layers: list[tuple[str, nn.Module]], name: str, model: nn.Module, example: Any
) -> bool:
    """Say whether the reader's input has the examples along its first axis, the units along its second."""
    (value,), _ = example_for(model, example)
    with evaluating(model):
        for other, module in layers:
            if other == name:
                return value.dim() == NUM_AXES[type(module)]
            value = module(value)
    return False
