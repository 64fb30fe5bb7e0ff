"""What stands for the per-example gradients of one parameter in one batch."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class Piece(Protocol):
    """The gradients of one parameter for the examples of a batch, in a form that is small."""

    @property
    def num_examples(self) -> int:
        """The examples of the batch."""
        ...

    @property
    def num_columns(self) -> int:
        """The columns in which `columns` counts."""
        ...

    @property
    def column_size(self) -> int:
        """The values in a column."""
        ...

    def squared_norms(self) -> Float[Tensor, " batch"]:
        """Return the squared norm of each example's gradient, in float64."""
        ...

    def gradients(self, examples: slice) -> Tensor:
        """Return the gradients of some examples: [examples, *shape]."""
        ...

    def columns(self, examples: slice, start: int, stop: int) -> Tensor:
        """Return part of the gradients of some examples: [examples, values], in an order that is always the same."""
        ...

    def dots(self, direction: Float[Tensor, " values"]) -> Float[Tensor, " batch"]:
        """Return the scalar product of each example's gradient with a direction, flattened, in float64."""
        ...

    def compact(self) -> "Piece":
        """Return what takes the least memory."""
        ...
