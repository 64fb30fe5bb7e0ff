"""The readout: what the last linear layer of a classifier receives, by class."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final

from jaxtyping import Float, Int
from torch import Tensor, nn

from surplus.passes.statistics.class_sums import ClassSums

Runs = list[tuple[Tensor, Tensor]]


@contextmanager
def runs_of(module: nn.Module | None, copies: bool = False) -> Iterator[Runs]:
    """Within the context, collect the input and the output of each run of a module; None collects none.

    Args:
        module: The module.
        copies: Whether outputs are copied at once: what works in place later changes the others.
    """
    found: Runs = []

    def note(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        found.append(
            (inputs[0], output.clone() if copies and isinstance(output, Tensor) else output)
        )

    hook = None if module is None else module.register_forward_hook(note)
    try:
        yield found
    finally:
        if hook is not None:
            hook.remove()


@final
class Readout:
    """Sums up by class what a classifier's last layer receives, with products within classes."""

    def __init__(self) -> None:
        self.sums: ClassSums | None = None
        """None as long as nothing was seen."""
        self.refused: str | None = None
        """Why it cannot be treated."""

    def add(self, runs: Runs, num_examples: int, labels: Int[Tensor, " batch"] | None) -> None:
        """Take in what the layer received on a batch."""
        self.refused = self.refused or refusal(runs, num_examples)
        if labels is None:
            self.refused = self.refused or "the targets are not class labels"
        if self.refused is not None or labels is None:
            return
        features: Float[Tensor, "batch width"] = runs[0][0]
        if self.sums is None:
            self.sums = ClassSums(features.shape[1], products=True)
        self.sums.add(features, labels)

    def merge(self, other: "Readout") -> None:
        """Take in what was summed up elsewhere, on other examples."""
        self.refused = self.refused or other.refused
        if self.sums is not None and other.sums is not None:
            self.sums.merge(other.sums)
        else:
            self.sums = self.sums or other.sums


def refusal(runs: Runs, num_examples: int) -> str | None:
    """Return why the runs of a layer do not show one vector for each example of a batch; None if they do."""
    if len(runs) != 1:
        times = "never runs as a module" if not runs else f"runs {len(runs)} times"
        return f"its last layer {times} on a batch, so what it receives cannot be told"
    if runs[0][0].shape[:-1] != (num_examples,):
        return "its last layer receives more than one vector of each example"
    return None
