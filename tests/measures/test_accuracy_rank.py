"""The rank that carries the accuracy, in networks whose rank is known."""

import pytest
import torch
from torch import nn

from measuring import found_by, numbers_of
from surplus.base import InvalidArgument
from surplus.measures import AccuracyRank
from surplus.measures.accuracy_rank import least


def planted(
    rank: int, noise: float = 0.0
) -> tuple[nn.Sequential, list[tuple[torch.Tensor, torch.Tensor]]]:
    """A classifier of eight classes whose matrix has `rank` directions of its own, and noise that does not matter."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    signal = normal(8, rank) @ normal(rank, 12)
    model = nn.Sequential(nn.Linear(12, 8, bias=False)).double()
    with torch.no_grad():
        model[0].weight.copy_(signal + noise * normal(8, 12))
    inputs = normal(400, 12)
    return model, [(inputs, (inputs @ signal.T).argmax(1))]


def accuracies(model: nn.Sequential, data) -> list[float]:
    """The accuracy with the first k singular directions, for every k."""
    W = model[0].weight.detach()
    U, S, Vh = torch.linalg.svd(W, full_matrices=False)
    ((inputs, labels),) = data
    found = []
    for k in range(len(S) + 1):
        truncated = U[:, :k] @ torch.diag(S[:k]) @ Vh[:k]
        found.append(float(((inputs @ truncated.T).argmax(1) == labels).double().mean()))
    return found


@pytest.mark.parametrize("rank", [1, 2, 4])
def test_the_planted_rank_is_found(rank):
    model, data = planted(rank)
    found = numbers_of(found_by(AccuracyRank(), model, data), "0")
    assert found == {"accuracy_rank": rank, "full_rank": 8}


@pytest.mark.parametrize("tolerance", [0.001, 0.05, 0.3])
def test_the_rank_carries_and_one_less_does_not(tolerance):
    model, data = planted(5, noise=0.3)
    rank = numbers_of(found_by(AccuracyRank(tolerance=tolerance), model, data), "0")[
        "accuracy_rank"
    ]
    full, *_ = reversed(along := accuracies(model, data))
    assert full - along[int(rank)] < tolerance
    assert full - along[int(rank) - 1] >= tolerance


def test_what_would_take_too_long_is_named():
    model, data = planted(2)
    (note,) = [each.note for each in found_by(AccuracyRank(most_macs=10.0), model, data)]
    assert "more than 1e+01" in note and "AccuracyRank(most_macs=None)" in note


def test_a_tolerance_of_nothing_is_refused():
    with pytest.raises(InvalidArgument, match="`tolerance` is 0.0; it must be positive"):
        AccuracyRank(tolerance=0.0)


def test_bisection():
    for answer in range(8):
        assert least(lambda k, answer=answer: k >= answer, 7) == answer
