"""Hinge: nothing is lost once the label's output leads by a margin."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from surplus.base import InvalidArgument, Loss, register
from surplus.base.loss import Reduction
from surplus.tasks.losses.reducing import reduced


@register("hinge")
@dataclass(frozen=True, kw_only=True, slots=True)
class Hinge(Loss):
    """max(margin - (the label's output - the largest other output), 0), with a margin of its own for each class.

    On two outputs (0, N) with margins (1, gamma) this is max(1 + N, 0) for class 0 and max(gamma - N, 0) for class 1.

    Reference: crammer2001algorithmic, the loss of several classes; brutzkus2019larger, for one margin per class.
    """

    references: ClassVar = ("crammer2001algorithmic", "brutzkus2019larger")

    margins: tuple[float, ...] = (1.0, 1.0)
    """By how much the output of each class must lead; one for each output."""

    def __post_init__(self) -> None:
        if len(self.margins) < 2 or not min(self.margins) > 0:
            raise InvalidArgument(
                f"`margins` is {self.margins}; it takes a positive number for each of at least two classes."
            )

    def of(
        self,
        outputs: Float[Tensor, "_ outputs *more"],
        targets: Shaped[Tensor, "_ ..."],
        reduction: Reduction = "mean",
    ) -> Float[Tensor, "..."]:
        """Return the losses; see `Loss.of`.

        Example:
            >>> import torch
            >>> outputs, labels = torch.tensor([[0.0, 3.0], [0.0, 3.0]]), torch.tensor([0, 1])
            >>> Hinge(margins=(1.0, 8.0)).of(outputs, labels, "none").tolist()
            [4.0, 5.0]
        """
        if targets.is_floating_point() or outputs.shape[1] != len(self.margins):
            raise InvalidArgument(
                f"`margins` has {len(self.margins)} entries, one for each class; the network returns {outputs.shape[1]}"
                f" outputs and the targets are {targets.dtype}, which must be whole numbers."
            )
        own = targets.unsqueeze(1)
        others = outputs.scatter(1, own, float("-inf")).amax(1)
        lead = outputs.gather(1, own).squeeze(1) - others
        return reduced(F.relu(outputs.new_tensor(self.margins)[targets] - lead), reduction)
