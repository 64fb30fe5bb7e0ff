"""Free parameters: directions in which a weight matrix can move without consequences."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.measures.finding import Finding
from surplus.measures.matrices import parameters_of
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import per_layer
from surplus.passes import num_directions
from surplus.passes.statistics import Comoments


@register("free-parameters")
@dataclass(frozen=True, kw_only=True, slots=True)
class FreeParameters(Measure):
    """Count the directions of each weight matrix, with its bias, in which moving it changes nothing.

    With A the second moment of what the matrix receives, a 1 joined to it where there is a bias, and G that of the
    gradients passed back to its outputs, rank(A) rank(G) directions count and the others are free. That is the
    published counting: exact where the layers behind are linear, so that gradients do not depend on the example; in
    any other network the curvature is the mean of products, not the product of means, and may have a lower rank, so
    that the count of free directions is a lower bound. Gradients are of the loss, which moves fewer directions than
    the outputs do; a network that fits its data perfectly has few of them left.

    Softly free are the pairs of eigenvalues l of A and m of G with l m < `cut_off`, one for each direction: to second
    order, a step of unit length costs l m / 2 nats, l being of rows times the rows of an example. Where positions are
    sampled, the curvature of those that are not drawn is missing.

    Reference: bushnaq2024degeneracy, on linear dependence; martens2015optimizing, Section 3, for the soft count.
    There the gradients are of the outputs; those of the loss are what the pass has.
    """

    references: ClassVar = ("bushnaq2024degeneracy", "martens2015optimizing")
    needs: ClassVar = ("weights", "deltas")

    tolerance: float = 1e-10
    """Eigenvalues below this share of the largest one count as none."""
    cut_off: float = 1e-6
    """Directions of less curvature than this are softly free."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield ranks and counts of free directions of each weight matrix."""
        names = parameters_of(seen)
        return per_layer(tuple(names), lambda layer: self._matrix(seen, names[layer]))

    def _matrix(self, seen: Observed, name: str) -> Iterator[Finding]:
        received, returned = seen.input_comoments(name), seen.delta_comoments(name)
        parameters = dict(seen.model.named_parameters())
        with_bias = name.endswith("weight") and name.removesuffix("weight") + "bias" in parameters
        inputs = torch.linalg.eigvalsh(joined(received) if with_bias else received.second_moment)
        deltas = torch.linalg.eigvalsh(returned.second_moment)
        num_parameters = len(inputs) * len(deltas)
        ranks = [num_directions(each, self.tolerance) for each in (inputs, deltas)]
        free = num_parameters - ranks[0] * ranks[1]
        positions = received.num_rows / max(received.num_examples, 1)
        soft = num_small_products(inputs * positions, deltas, self.cut_off)
        n = received.num_examples
        note = "with its bias" if with_bias else None
        yield Finding(quantity="num_parameters", value=num_parameters, note=note)
        yield Finding(quantity="input_rank", value=ranks[0], n=n)
        yield Finding(quantity="gradient_rank", value=ranks[1], n=n)
        yield Finding(quantity="num_free_directions", value=free, n=n)
        yield Finding(quantity="free_share", value=free / num_parameters, n=n)
        yield Finding(quantity="num_soft_free_directions", value=soft, at=self.cut_off, n=n)
        yield Finding(quantity="soft_free_share", value=soft / num_parameters, at=self.cut_off, n=n)


def joined(received: Comoments) -> Float[Tensor, "columns columns"]:
    """Return the second moment of rows to each of which a 1 is joined.

    Example:
        >>> rows = Comoments(1)
        >>> rows.add(torch.tensor([[1.0], [3.0]]), num_examples=2)
        >>> joined(rows).tolist()
        [[5.0, 2.0], [2.0, 1.0]]
    """
    mean = received.mean[:, None]
    upper = torch.cat([received.second_moment, mean], dim=1)
    return torch.cat([upper, torch.cat([mean.T, mean.new_ones(1, 1)], dim=1)])


def num_small_products(
    first: Float[Tensor, " first"], second: Float[Tensor, " second"], cut_off: float
) -> int:
    """Return how many pairs of eigenvalues, none of them taken as negative, have a product below the cut-off.

    Every row of products is sorted once the second spectrum is, so its place among them is found by bisection.

    Example:
        >>> num_small_products(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0]), 3.0)
        2
    """
    ordered = second.clamp_min(0).sort().values
    bounds = cut_off / first.clamp_min(0)  # infinite for 0: then all products are small
    return int(torch.searchsorted(ordered, bounds).sum())
