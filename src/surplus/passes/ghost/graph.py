"""The graph behind a loss: which operators read which parameters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Int
from torch import Tensor, nn

INDEXING = frozenset(
    f"{name}Backward{version}"
    for name in (
        "T",
        "Transpose",
        "Permute",
        "View",
        "UnsafeView",
        "ReshapeAlias",
        "Unsqueeze",
        "Squeeze",
        "Alias",
        "Select",
        "Slice",
        "Split",
        "SplitWithSizes",
        "Unbind",
        "Clone",
    )
    for version in range(3)
)
"""Operators that only pick and order elements; followed from what reads a parameter to the parameter."""
ACCUMULATE = "torch::autograd::AccumulateGrad"
Link = tuple[Any, int]
"""A node and which of its outputs."""


@final
@dataclass(frozen=True, slots=True)
class Use:
    """One operator that reads a parameter, or a view of it."""

    parameter: str
    """Its name."""
    node: Any
    """The operator's node in the graph."""
    index: int
    """Which input of the node it is."""
    shape: tuple[int, ...]
    """The shape in which the operator reads it."""
    chain: tuple[Link, ...]
    """The views from the operator down to the parameter."""

    @property
    def signature(self) -> tuple[str, str, int, tuple[int, ...]]:
        """What is the same in every run of the same code."""
        return self.parameter, self.node.name(), self.index, self.shape

    def positions(self, parameter: Tensor) -> Int[Tensor, " values"]:
        """Return where each element that the operator reads lies in the flattened parameter."""
        count = torch.Size(self.shape).numel()
        # A view's backward puts each element where it came from: send the elements' numbers through.
        numbers = torch.arange(1, count + 1, dtype=torch.float64).reshape(self.shape)
        for node, output in self.chain:
            outputs: list[Tensor | None] = [None] * len(node._input_metadata)
            outputs[output] = numbers
            numbers = node(*outputs)
        flat = numbers.reshape(-1)
        places = flat.nonzero()[:, 0]
        found = torch.empty(count, dtype=torch.long)
        found[flat[places].long() - 1] = places
        return found.to(parameter.device)


def uses_of(loss: Tensor, model: nn.Module) -> tuple[list[Use], set[str]]:
    """Return every use of the parameters that a loss depends on, always in the same order.

    Returns:
        The uses, and the parameters that are also read in a way that cannot be followed.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    uses: list[Use] = []
    reached: dict[str, int] = {}
    readers: dict[str, int] = {}
    visited = {loss.grad_fn}
    stack: list[Any] = [loss.grad_fn]
    while stack:
        node = stack.pop()
        if node is None:
            continue
        for index, (child, output) in enumerate(node.next_functions):
            if child is None:
                continue
            if node.name() not in INDEXING:
                use = _use(node, index, (child, output), names)
                if use is not None:
                    uses.append(use)
            if child.name() == ACCUMULATE:
                name = names.get(id(child.variable))
                if name is not None:
                    reached[name] = reached.get(name, 0) + 1
            if child not in visited:
                visited.add(child)
                stack.append(child)
    for use in uses:
        readers[use.parameter] = readers.get(use.parameter, 0) + 1
    return uses, {name for name in reached if name not in readers}


def _use(node: Any, index: int, link: Link, names: Mapping[int, str]) -> Use | None:
    """Follow views from an operator's input down to a parameter, if that is where they lead."""
    child, output = link
    chain: list[Link] = []
    while child.name() in INDEXING:
        chain.append((child, output))
        child, output = child.next_functions[0]
        if child is None:
            return None
    if child.name() != ACCUMULATE or id(child.variable) not in names:
        return None
    first, place = link
    shape = child.variable.shape if not chain else first._input_metadata[place].shape
    return Use(names[id(child.variable)], node, index, tuple(shape), tuple(chain))
