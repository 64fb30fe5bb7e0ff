"""Neural collapse: how far class means, features and a classifier are from one symmetric arrangement."""

import torch
from jaxtyping import Float
from torch import Tensor


def within_to_between(
    within: Float[Tensor, "width width"],
    apart: Float[Tensor, "classes width"],
    weights: Float[Tensor, " classes"],
) -> tuple[float, int]:
    """Return the trace of W B^+, and the rank of B.

    Args:
        within: The covariance W of features around the means of their classes.
        apart: The class means, less the mean of all.
        weights: The share of the examples that each class has, so that B = sum of weight apart apart^T.

    B^+ takes the first C - 1 directions of C class means, or fewer where these lie in fewer.

    Example:
        >>> apart = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
        >>> ratio, rank = within_to_between(torch.eye(2).double() / 8, apart, torch.full((2,), 0.5).double())
        >>> round(ratio, 6), rank
        (0.125, 1)
    """
    _, sizes, rows = torch.linalg.svd(apart * weights.sqrt()[:, None], full_matrices=False)
    sizes, rows = sizes[: len(apart) - 1], rows[: len(apart) - 1]
    found = sizes > 1e-12 * sizes[0]
    spread = ((rows @ within) * rows).sum(1)
    return float((spread[found] / sizes[found].square()).sum()), int(found.sum())


def unequal_lengths(vectors: Float[Tensor, "classes width"]) -> float:
    """Return the standard deviation of the vectors' lengths over their mean; 0 for equally long ones.

    Example:
        >>> unequal_lengths(torch.tensor([[3.0, 4.0], [0.0, 5.0]]))
        0.0
    """
    lengths = vectors.norm(dim=1)
    return float(lengths.std(correction=0) / lengths.mean())


def unequal_angles(vectors: Float[Tensor, "classes width"]) -> float:
    """Return by how much the cosines of pairs are away from -1 / (C - 1) on average; 0 for a simplex.

    A vector that is zero counts as orthogonal to the others.
    """
    size = len(vectors)
    unit = torch.nn.functional.normalize(vectors, dim=1)
    away = (unit @ unit.T + 1 / (size - 1)).abs()
    return float((away.sum() - away.diagonal().sum()) / (size * (size - 1)))


def frame_distance(
    vectors: Float[Tensor, "classes width"], target: Float[Tensor, "classes classes"]
) -> float:
    """Return the Frobenius distance of the vectors' Gram matrix from a target, both at unit norm.

    Example:
        >>> frame_distance(3 * torch.eye(4), torch.eye(4)), frame_distance(torch.eye(4) - 0.25, simplex(4).float())
        (0.0, 0.0)
    """
    gram = vectors @ vectors.T
    return float((gram / gram.norm() - target / target.norm()).norm())


def simplex(size: int) -> Float[Tensor, "classes classes"]:
    """Return the Gram matrix of a simplex equiangular tight frame, I - 1 1^T / C."""
    return torch.eye(size, dtype=torch.float64) - 1 / size


def not_dual(
    weights: Float[Tensor, "classes width"], means: Float[Tensor, "classes width"]
) -> float:
    """Return ||weights / ||weights||_F - means / ||means||_F||_F^2, from 0 to 4."""
    return float((weights / weights.norm() - means / means.norm()).square().sum())


def distance_normalised_variances(
    means: Float[Tensor, "classes width"], variances: Float[Tensor, " classes"]
) -> Float[Tensor, " pairs"]:
    """Return (v_a + v_b) / (2 ||mean_a - mean_b||^2) of each pair of classes; infinite where the means are the same.

    Reference: galanti2022role, the class-distance normalised variance.

    Example:
        >>> distance_normalised_variances(torch.tensor([[0.0], [2.0]]), torch.tensor([1.0, 3.0])).tolist()
        [0.5]
    """
    first, second = torch.triu_indices(len(means), len(means), offset=1)
    squares = (means[first] - means[second]).square().sum(1)
    return (variances[first] + variances[second]) / (2 * squares)


def predicted_strengths(
    counts: Float[Tensor, " classes"], of_weights: float, of_features: float
) -> Float[Tensor, " classes"]:
    """Return the singular value of each class in the optimal scores of free features H and bias-free weights W.

    They minimise ||W H - Y||_F^2 / 2N + of_weights ||W||_F^2 / 2 + of_features ||H||_F^2 / 2 for one-hot Y and N
    examples: max(0, sqrt(n_k) - N sqrt(of_weights of_features)) for a class of n_k. Where it is 0 the class vanishes.

    Reference: dang2023neural, for imbalanced data and one linear layer; here as a closed form.

    Example:
        >>> counts = torch.tensor([60.0, 30.0, 10.0], dtype=torch.float64)
        >>> [round(each, 5) for each in predicted_strengths(counts, 5e-3, 1e-5).tolist()]
        [7.72361, 5.45486, 3.13992]
    """
    return (counts.sqrt() - counts.sum() * (of_weights * of_features) ** 0.5).clamp_min(0)
