"""Training in a random subspace."""

from dataclasses import dataclass
from typing import ClassVar

from surplus.base import InvalidArgument, register
from surplus.training.optimizer import Optimizer, Update
from surplus.training.optimizers.sgd import SGD
from surplus.training.projection import Projection
from surplus.training.projections.fastfood import Fastfood
from surplus.training.wrapper import Wrapper


@register("subspace")
@dataclass(frozen=True, kw_only=True, slots=True)
class Subspace(Wrapper):
    """All D parameters move in a random subspace of d dimensions: theta = theta_0 + P x, and only x is trained.

    The optimiser inside works on the d coordinates x, which begin at zero: its gradient is P^T g, and a weight decay
    pulls towards where training began. Each replica has a subspace of its own, drawn from its seed.

    Reference: li2018intrinsic, Section 2.
    """

    references: ClassVar = ("li2018intrinsic",)

    inner: Optimizer = SGD()
    """The optimiser of the coordinates."""
    dimension: int
    """The number of coordinates."""
    projection: Projection = Fastfood()
    """How the subspace is drawn."""

    def __post_init__(self) -> None:
        if self.dimension < 1:
            raise InvalidArgument(f"`dimension` is {self.dimension}; it must be at least 1.")
        if subspace_of(self.inner) is not None:
            raise InvalidArgument("`inner` trains in a subspace, too; use one `subspace`.")

    def update(self, update: Update) -> None:
        """Change the coordinates and the slots in place."""
        self.inner.update(update)


def subspace_of(optimizer: Optimizer) -> Subspace | None:
    """Return the subspace that an optimiser trains in, wherever it stands among its wrappers."""
    while isinstance(optimizer, Wrapper):
        if isinstance(optimizer, Subspace):
            return optimizer
        optimizer = optimizer.inner
    return None
