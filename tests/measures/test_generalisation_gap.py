import dataclasses
import math

import pytest
import torch

from asking import dense, notes, of_layer, seen_of
from surplus.base import InvalidArgument, Parts
from surplus.measures import GeneralisationGap, findings

MEASURE = GeneralisationGap()


def part(hits, misses):
    """Examples on which the identity is right by one or wrong by one."""
    inputs = torch.eye(2, dtype=torch.float64)[[0] * hits + [1] * misses]
    return [(each, torch.zeros(len(each), dtype=torch.int64)) for each in inputs.split(3)]


def seen(train, test):
    model = dense(torch.eye(2, dtype=torch.float64))
    return seen_of(MEASURE, model, parts=Parts(train, [], test), data=train)


def test_a_planted_gap_is_found():
    look = seen(part(10, 0), part(6, 4))
    found = of_layer(MEASURE, look, None)
    right, wrong = math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))
    assert found == pytest.approx(
        {
            "train_accuracy": 1,
            "test_accuracy": 0.6,
            "accuracy_gap": 0.4,
            "train_loss": right,
            "test_loss": 0.6 * right + 0.4 * wrong,
            "loss_gap": 0.4 * (wrong - right),
        }
    )
    each = {f.quantity: f for _, f in findings(look, (MEASURE,))}
    # Wilson's intervals of 10 of 10 and 6 of 10, and Newcombe's of their difference.
    assert (each["train_accuracy"].lower, each["train_accuracy"].upper) == (
        pytest.approx(0.7225, abs=1e-4),
        1,
    )
    assert each["test_accuracy"].lower == pytest.approx(0.3127, abs=1e-4)
    assert each["test_accuracy"].upper == pytest.approx(0.8318, abs=1e-4)
    gap = each["accuracy_gap"]
    assert gap.lower == pytest.approx(0.4 - math.hypot(1 - 0.7225, 0.8318 - 0.6), abs=2e-4)
    assert gap.upper == pytest.approx(0.4 + math.hypot(0, 0.6 - 0.3127), abs=2e-4)
    spread = torch.tensor([right] * 6 + [wrong] * 4, dtype=torch.float64).std()
    half = 2.262 * float(spread) / math.sqrt(10)
    assert each["test_loss"].upper - each["test_loss"].value == pytest.approx(half, rel=1e-3)
    assert all(finding.n == 10 for finding in each.values())


def test_equal_parts_have_no_gap():
    found = of_layer(MEASURE, seen(part(7, 5), part(7, 5)), None)
    assert found["accuracy_gap"] == found["loss_gap"] == 0


def test_without_parts_or_labels_it_says_so():
    look = seen(part(2, 2), part(2, 2))
    alone = dataclasses.replace(look, parts=None)
    assert notes(MEASURE, alone) == {
        None: "training and test examples are not known apart: pass all parts of a task as `data=`"
    }
    values = [(torch.eye(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64))]
    assert notes(MEASURE, seen(values, values)) == {None: "the targets are not class labels"}
    found = notes(MEASURE, seen(part(1, 0), part(2, 2)))
    assert "holds only one example" in found[None]


def test_a_sample_of_each_part_is_enough():
    measure = GeneralisationGap(num_examples=6)
    found = findings(seen(part(10, 0), part(6, 4)), (measure,))
    assert all(finding.n == 6 for _, finding in found)
    assert of_layer(measure, seen(part(10, 0), part(6, 4)), None)["train_accuracy"] == 1


@pytest.mark.message
def test_of_one_example_no_spread_can_be_told():
    with pytest.raises(InvalidArgument, match="`num_examples` is 1; it must be at least 2"):
        GeneralisationGap(num_examples=1)
