"""Local complexity: into how many linear pieces a network cuts the neighbourhood of a point."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument, derive, register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, per_layer
from surplus.passes import batches, mean_estimate, sampled
from surplus.passes.neighbourhoods import SignChanges, orthonormal_directions, sign_changes
from surplus.units import Group, is_activation

LINEAR = frozenset(
    "addmm mm bmm convolution native_batch_norm cudnn_batch_norm view _unsafe_view".split()
)
"""What gives a pre-activation itself, where no activation function comes behind it."""


@register("local-complexity")
@dataclass(frozen=True, kw_only=True, slots=True)
class LocalComplexity(Measure):
    r"""Count, around points of the data, the neurons whose pre-activation is zero somewhere near.

    The neighbourhood of a point x has the vertices x + r v and x - r v for orthonormal directions v, the same for all
    points. A neuron is counted if its pre-activation takes both signs over them: for a rectified one, the boundary
    between two linear pieces of the network passes there. In deeper layers the image of the vertices stands for that of
    the neighbourhood, so the count is a lower bound. A filter is one neuron at each position.

    Reference: humayun2024deep, Figure 4.
    There about a thousand points are taken.
    """

    references: ClassVar = ("humayun2024deep",)
    needs: ClassVar = ("examples",)

    radius: float = 0.005
    """The distance r of the vertices from the point."""
    relative: bool = False
    """Whether r is in units of the root mean square distance of the points from their mean."""
    num_directions: int = 25
    """How many directions; at most the number of inputs."""
    num_points: int = 128
    """How many points, drawn from the data by the seed."""
    outputs: bool = True
    """Whether the network's outputs are neurons, too, as in the reference."""

    def __post_init__(self) -> None:
        if not self.radius > 0:
            raise InvalidArgument(f"`radius` is {self.radius}; it must be above 0.")
        if self.num_directions < 1 or self.num_points < 2:
            raise InvalidArgument(
                f"`num_directions` is {self.num_directions} and `num_points` {self.num_points};"
                " there must be at least 1 direction and 2 points."
            )

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the mean count of each layer and of all of them, with 95 % intervals over the points."""
        points = _points(seen, self.num_points)
        directions = orthonormal_directions(
            tuple(points.shape[1:]), self.num_directions, derive(seen.seed, "directions")
        )
        radius = self.radius * (_scale(points) if self.relative else 1.0)
        groups = {name: seen.group(name) for name in seen.names}
        if not self.outputs:
            groups = {name: group for name, group in groups.items() if group.outgoing}
        taps = {
            name: group.tap
            for name, group in groups.items()
            if group.tap is not None and _reason(group) is None
        }
        found = sign_changes(seen.model, taps, points, directions, radius)
        yield Finding(quantity="radius", value=radius)
        yield Finding(quantity="num_directions", value=len(directions), seed=seen.seed)
        yield from per_layer(list(groups), lambda name: _layer(seen, groups[name], found))
        if found:
            yield _total(seen, found, [name for name in groups if name not in taps])


def _points(seen: Observed, num_points: int) -> Float[Tensor, "points ..."]:
    """Draw points from the data.

    Raises:
        Untreated: the inputs are no real numbers, or there are fewer than two.
    """
    sample = sampled(seen.examples(), num_points, seen.seed)
    points = torch.cat([inputs for inputs, _ in batches(sample, seen.model)])
    if not points.is_floating_point():
        raise Untreated(f"its inputs are of type {points.dtype}, so that nothing lies around them")
    if len(points) < 2:
        raise Untreated("the data have fewer than two examples")
    return points


def _scale(points: Float[Tensor, "points ..."]) -> float:
    """Return the root mean square distance of the points from their mean."""
    rows = points.double().flatten(1)
    return float((rows - rows.mean(0)).square().sum(1).mean().sqrt())


def _reason(group: Group) -> str | None:
    """Return why the pre-activations of a group cannot be seen; None if they can."""
    if group.tap is None:
        return "the outputs of its units never lie along one axis"
    operator = group.tap.place.operator
    name = operator.removeprefix("aten::")
    if is_activation(operator) or name in LINEAR:
        return None
    return f"its units are seen behind `{name}`, whose input is not their pre-activation"


def _layer(seen: Observed, group: Group, found: Mapping[str, SignChanges]) -> Iterator[Finding]:
    reason = _reason(group)
    if reason is not None:
        raise Untreated(reason)
    changes = found[group.name]
    yield _mean(seen, changes)
    share = float(changes.counts.double().mean()) / changes.num_neurons
    yield Finding(quantity="share_of_neurons", value=share, n=len(changes.counts))


def _total(seen: Observed, found: Mapping[str, SignChanges], left_out: list[str]) -> Finding:
    counts = torch.stack([each.counts for each in found.values()]).sum(0)
    note = f"without {', '.join(left_out)}, which cannot be treated" if left_out else None
    return _mean(seen, SignChanges(counts, 0), note)


def _mean(seen: Observed, changes: SignChanges, note: str | None = None) -> Finding:
    value, lower, upper, n = mean_estimate(changes.counts.double())
    return Finding(
        quantity="local_complexity",
        value=value,
        lower=lower,
        upper=upper,
        n=n,
        seed=seen.seed,
        note=note,
    )
