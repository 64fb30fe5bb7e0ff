"""Squared error: the loss of regression."""

from dataclasses import dataclass

from jaxtyping import Float, Shaped
from torch import Tensor

from surplus.base import InvalidArgument, Loss, register
from surplus.base.loss import Reduction
from surplus.tasks.losses.reducing import reduced


@register("squared-error")
@dataclass(frozen=True, kw_only=True, slots=True)
class SquaredError(Loss):
    """Half the squared distance between what the network returns and the target: of each example, summed over outputs.

    Its mean over examples is half the mean square, without a division by the number of outputs.

    Reference: own; decisions/0020-losses.md.
    """

    def of(
        self,
        outputs: Float[Tensor, "_ outputs *more"],
        targets: Shaped[Tensor, "_ ..."],
        reduction: Reduction = "mean",
    ) -> Float[Tensor, "..."]:
        """Return the losses; see `Loss.of`. Targets of a network with one output may lack the axis of outputs.

        Example:
            >>> import torch
            >>> float(SquaredError().of(torch.tensor([[1.0], [4.0]]), torch.tensor([2.0, 1.0])))  # (1 + 9) / 4
            2.5
        """
        # The outputs' axis comes last in targets, as examples are stored, and second in outputs, as torch has it.
        wanted = targets.unsqueeze(1) if targets.dim() < outputs.dim() else targets.movedim(-1, 1)
        if not targets.is_floating_point() or wanted.shape != outputs.shape:
            raise InvalidArgument(
                f"Squared error compares with as many numbers as the network returns, {tuple(outputs.shape)}; the"
                f" targets are {targets.dtype} of shape {tuple(targets.shape)}. For labels take `CrossEntropy()`."
            )
        return reduced(0.5 * (outputs - wanted).square().sum(1), reduction)
