"""The family of losses: what training makes small."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Literal

from surplus.base.family import Family

if TYPE_CHECKING:
    import torch

Reduction = Literal["none", "mean", "sum"]


class Loss(Family):
    """A number for each example, from what a network returns for it and what the task wants."""

    __slots__ = ()

    @abstractmethod
    def of(
        self, outputs: "torch.Tensor", targets: "torch.Tensor", reduction: Reduction = "mean"
    ) -> "torch.Tensor":
        """Return the losses of examples, or their mean or sum.

        Args:
            outputs: What the network returns, of shape (examples, outputs), or (replicas, outputs, examples).
            targets: What the task wants, of shape (examples, ...), or (replicas, examples, ...).
            reduction: "none" keeps one number for each example.

        Raises:
            InvalidArgument: the targets are not of the kind that the loss compares with.
        """
