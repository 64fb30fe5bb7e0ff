"""Gradients of few values per example: held as they are."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor


@final
class Direct:
    """The gradients of a bias, or of a factor: [batch, *shape]."""

    def __init__(self, values: Tensor) -> None:
        # Gradients that are themselves differentiable would keep the graphs of all batches alive.
        values = values.detach()
        self._values = values
        self._flat = values.reshape(len(values), -1)

    @property
    def num_examples(self) -> int:
        """The examples of the batch."""
        return len(self._values)

    @property
    def num_columns(self) -> int:
        """The columns in which `columns` counts."""
        return self._flat.shape[1]

    @property
    def column_size(self) -> int:
        """The values in a column."""
        return 1

    def squared_norms(self) -> Float[Tensor, " batch"]:
        """Return the squared norm of each example's gradient, in float64."""
        return energy(self._flat)

    def dots(self, direction: Float[Tensor, " values"]) -> Float[Tensor, " batch"]:
        """Return the scalar product of each example's gradient with a direction, flattened, in float64."""
        return (self._flat * direction.to(self._flat)).sum(1, dtype=torch.float64)

    def gradients(self, examples: slice) -> Tensor:
        """Return the gradients of some examples: [examples, *shape]."""
        return self._values[examples]

    def columns(self, examples: slice, start: int, stop: int) -> Tensor:
        """Return part of the gradients of some examples: [examples, values]."""
        return self._flat[examples, start:stop]

    def compact(self) -> "Direct":
        """Return what takes the least memory."""
        return self


def energy(rows: Float[Tensor, "*batch values"]) -> Float[Tensor, "*batch"]:
    """Return the squared length of each row, in float64."""
    return torch.linalg.vector_norm(rows, dim=-1).double().square()
