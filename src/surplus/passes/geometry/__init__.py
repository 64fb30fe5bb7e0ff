"""Directions of weight vectors: how they overlap, cluster, hang together, and which subspaces they span.

What lives here: `frame_potential`, `frame_potential_along` an order, `frame_potential_bounds`, their
`signed_frame_potential`,
and what they are made of: `directions` and `squared_overlaps`; `pair_cosines`, `nearest` neighbours and
`mean_cosine_distance`; `SpanningTree`, the components of a weighted graph at every cut-off; `spherical_centres`,
clusters of directions, and `degrees_to` them; `best_matching` of the units of two layers; `leading_subspace`, the
`principal_degrees` between two, `random_degrees`, and `relative_residuals` outside one.
"""

from surplus.passes.geometry.gram import (
    directions,
    frame_potential,
    frame_potential_along,
    frame_potential_bounds,
    squared_overlaps,
)
from surplus.passes.geometry.matching import best_matching
from surplus.passes.geometry.pairs import (
    mean_cosine_distance,
    nearest,
    pair_cosines,
    signed_frame_potential,
)
from surplus.passes.geometry.spanning import SpanningTree
from surplus.passes.geometry.spherical import degrees_to, spherical_centres
from surplus.passes.geometry.subspaces import (
    leading_subspace,
    principal_degrees,
    random_degrees,
    relative_residuals,
)

__all__ = [
    "SpanningTree",
    "best_matching",
    "degrees_to",
    "directions",
    "frame_potential",
    "frame_potential_along",
    "frame_potential_bounds",
    "leading_subspace",
    "mean_cosine_distance",
    "nearest",
    "pair_cosines",
    "principal_degrees",
    "random_degrees",
    "relative_residuals",
    "signed_frame_potential",
    "spherical_centres",
    "squared_overlaps",
]
