"""Gaussian data: what is drawn, who labels it, and what is done to the labels."""

import pytest
import torch

from surplus.base import InvalidArgument, derive
from surplus.tasks import Gaussian, Labels


def drawn(*path, shape, seed=0):
    """Return the numbers of one stream of the task."""
    generator = torch.Generator().manual_seed(derive(seed, "gaussian", *path))
    return torch.randn(shape, generator=generator)


@pytest.mark.parametrize("teacher_units", [None, 4])
def test_labels_are_those_of_the_teacher_in_loops(teacher_units):
    task = Gaussian(
        num_inputs=3, num_classes=4, num_train=20, num_test=7, teacher_units=teacher_units
    )
    parts = task.load()
    x = {
        name: drawn("inputs", name, shape=(size, 3)) for name, size in (("train", 20), ("test", 7))
    }
    assert torch.equal(parts.test.inputs, x["test"])

    def outputs(row):
        if teacher_units is None:
            hidden = row
        else:
            V = drawn("teacher", "hidden", shape=(3, 4))
            hidden = [
                max(0.0, sum(float(a * b) for a, b in zip(row, column, strict=True)))
                for column in V.T
            ]
        W = drawn("teacher", "outputs", shape=(len(hidden), 4))
        return [sum(float(a * b) for a, b in zip(hidden, column, strict=True)) for column in W.T]

    centre = [sum(column) / 20 for column in zip(*map(outputs, x["train"]), strict=True)]
    for part in ("train", "test"):
        rows = [[a - c for a, c in zip(outputs(row), centre, strict=True)] for row in x[part]]
        assert getattr(parts, part).targets.tolist() == [row.index(max(row)) for row in rows]


def test_no_class_is_empty_and_two_are_even():
    for units in (None, 32):
        part = Gaussian(teacher_units=units).load().train
        assert float(part.targets.double().mean()) == pytest.approx(0.5, abs=0.1)


def test_only_train_labels_change_and_which_is_known():
    plain, noisy = (Gaussian(labels=labels).load() for labels in (Labels(), Labels(noise=0.1)))
    assert torch.equal(noisy.train.changed, plain.train.targets != noisy.train.targets)
    assert int(noisy.train.changed.sum()) == 500
    assert torch.equal(noisy.train.inputs, plain.train.inputs)
    assert torch.equal(noisy.test.targets, plain.test.targets)
    drawn = Gaussian(labels=Labels(random=True)).load().train
    agree = (drawn.targets == plain.train.targets).double().mean()
    assert float(agree) == pytest.approx(0.5, abs=0.03)  # standard deviation 0.007


def test_parts_differ_and_the_seed_decides():
    one, same, other = (Gaussian(seed=seed).load() for seed in (0, 0, 1))
    assert torch.equal(one.train.inputs, same.train.inputs)
    assert torch.equal(one.train.targets, same.train.targets)
    assert not torch.equal(one.train.inputs, other.train.inputs)
    assert not torch.equal(one.validation.inputs, one.test.inputs)


def test_batches_come_in_the_shape_of_their_index():
    part = Gaussian(num_inputs=3).load().train
    inputs, targets = part.batch(torch.tensor([[3, 1], [0, 3]]))
    assert inputs.shape == (2, 2, 3)
    assert torch.equal(inputs[0, 0], inputs[1, 1])
    assert torch.equal(inputs[0, 1], part.inputs[1])
    assert torch.equal(targets, part.targets[torch.tensor([[3, 1], [0, 3]])])
    assert sum(len(inputs) for inputs, _ in part) == len(part) == 5000
    assert torch.equal(torch.cat([inputs for inputs, _ in part]), part.to("cpu").inputs)


@pytest.mark.message
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 1}, "`num_classes` is 1; it must be at least 2"),
        ({"num_inputs": 0}, "`num_inputs` is 0; it must be at least 1"),
        ({"num_test": 0}, "`num_test` is 0; it must be at least 1"),
        ({"teacher_units": 0}, "at least 1, or None for a linear map"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InvalidArgument, match=message):
        Gaussian(**options)
