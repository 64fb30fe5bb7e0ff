import pytest
import torch

from asking import dense, randn
from surplus.base import InvalidArgument
from surplus.passes import margins

LABELS = torch.tensor([0, 2, 1])


def test_they_are_those_of_loops():
    model, inputs = dense(randn(3, 4)), randn(3, 4, seed=1)
    found = margins(model, [(inputs[:2], LABELS[:2]), (inputs[2:], LABELS[2:])])
    for row, label, margin in zip(inputs, LABELS.tolist(), found.margins.tolist(), strict=True):
        outputs = [float(weights @ row) for weights in model[0].weight.detach()]
        own = outputs.pop(label)
        assert margin == pytest.approx(own - max(outputs))
    assert found.mean_square == pytest.approx(float(inputs.square().sum()) / 3)


def test_the_largest_entry_may_be_negative():
    inputs = torch.tensor([[1.0, -7.0, 2.0, 0.0]], dtype=torch.float64)
    assert margins(dense(randn(3, 4)), [(inputs, LABELS[:1])]).greatest == 7


def test_what_has_no_margin_is_refused():
    with pytest.raises(InvalidArgument, match="the targets are not class labels"):
        margins(dense(randn(3, 4)), [(randn(2, 4), randn(2, 3))])
    with pytest.raises(InvalidArgument, match=r"of shape \(3, 1\), not examples x two or more"):
        margins(dense(randn(1, 4)), [(randn(3, 4), LABELS)])
