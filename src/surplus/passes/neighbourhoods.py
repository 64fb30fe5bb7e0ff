"""Neighbourhoods: how many units change sign in a small cross-polytope around a point."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from surplus.passes.taps import by_example
from surplus.units import Tap, evaluating, left_as_found, tapping

ROWS = 500
"""About how many vertices run at a time."""


class SignChanges(NamedTuple):
    """What changes sign in one layer."""

    counts: Int[Tensor, " points"]
    """How many neurons do around each point; a filter is one neuron at each position."""
    num_neurons: int


def orthonormal_directions(
    shape: tuple[int, ...], num_directions: int, seed: int
) -> Float[Tensor, "directions ..."]:
    """Draw orthonormal directions in a space of inputs; at most as many as it has dimensions."""
    size = int(torch.tensor(shape).prod())
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randn(size, min(num_directions, size), dtype=torch.float64, generator=generator)
    return torch.linalg.qr(draws)[0].T.reshape(-1, *shape)


def sign_changes(
    model: nn.Module,
    taps: Mapping[str, Tap],
    points: Float[Tensor, "points ..."],
    directions: Float[Tensor, "directions ..."],
    radius: float,
) -> dict[str, SignChanges]:
    """Count the neurons whose pre-activation takes both signs over the vertices x + radius v and x - radius v.

    The network runs in evaluation mode, on some points at a time.

    Args:
        model: The model on which the units were found, or one of the same shape.
        taps: Where the units of each layer are seen; what goes into an activation function there is what counts.
        points: The points x, as the model takes them.
        directions: The directions v.
        radius: How far the vertices lie from the point.

    Raises:
        InvalidArgument: the model takes another path on these points than on its example.
    """
    offsets = radius * torch.cat([directions, -directions]).to(points.device, points.dtype)
    num_vertices = len(offsets)
    found: dict[str, list[Tensor]] = {name: [] for name in taps}
    sizes: dict[str, int] = {}

    def receive(name: str, values: Tensor) -> None:
        num_rows = num_vertices * num_points
        outputs = by_example(values, taps[name], num_rows).flatten(1)
        by_point = outputs.reshape(num_points, num_vertices, -1)
        smallest, largest = by_point.aminmax(dim=1)
        found[name].append(((smallest < 0) & (largest > 0)).sum(1).cpu())
        sizes[name] = by_point.shape[2]

    with torch.no_grad(), evaluating(model), left_as_found(model):
        for some in torch.split(points, max(1, ROWS // num_vertices)):
            num_points = len(some)
            vertices = (some[:, None] + offsets).flatten(0, 1)
            with tapping(model, taps, receive, before=True):
                model(vertices)
    return {name: SignChanges(torch.cat(each), sizes[name]) for name, each in found.items()}
