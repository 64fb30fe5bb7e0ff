import dataclasses

import pytest
import torch

from surplus.base import InvalidArgument
from surplus.tasks import Labels, MNIST10k, Split


@pytest.fixture(scope="module")
def plain():
    return MNIST10k().load()


def rows(part):
    return {bytes(image.numpy().tobytes()) for image in part.images}


def test_parts_are_disjoint_and_complete(plain):
    assert [len(part) for part in plain] == [8000, 2000, 2000]
    assert not rows(plain.train) & rows(plain.validation)
    assert not rows(plain.train) & rows(plain.test)
    assert torch.bincount(plain.test.targets).tolist() == [200] * 10
    both = torch.cat([plain.train.targets, plain.validation.targets])
    assert torch.bincount(both).tolist() == [1000] * 10


def test_the_split_is_a_function_of_its_seed(plain):
    same = MNIST10k().load()
    other = MNIST10k(split=Split(num_validation=2000, seed=1)).load()
    assert torch.equal(same.validation.images, plain.validation.images)
    assert not torch.equal(other.validation.images, plain.validation.images)


def test_inputs_are_standardised(plain):
    inputs = torch.cat([inputs for inputs, _ in plain.train])
    assert inputs.shape == (8000, 1, 28, 28)
    assert float(inputs.mean()) == pytest.approx(0, abs=0.02)
    assert float(inputs.std()) == pytest.approx(1, abs=0.02)


def test_batches_come_in_the_shape_of_their_index(plain):
    index = torch.tensor([[3, 1], [0, 3]])
    inputs, targets = plain.train.batch(index)
    assert inputs.shape == (2, 2, 1, 28, 28)
    assert torch.equal(targets[0, 0], targets[1, 1])
    assert torch.equal(inputs[0, 0], inputs[1, 1])


def test_exactly_the_asked_share_of_labels_changes_and_is_known(plain):
    noisy = MNIST10k(labels=Labels(noise=0.2)).load()
    assert int(noisy.train.changed.sum()) == 1600
    differs = noisy.train.targets != plain.train.targets
    assert torch.equal(differs, noisy.train.changed)
    assert torch.equal(noisy.validation.targets, plain.validation.targets)
    assert torch.equal(noisy.test.targets, plain.test.targets)
    assert not noisy.validation.changed.any()


def test_the_published_labels_of_changed_examples_are_known(plain):
    noisy = MNIST10k(labels=Labels(noise=0.2), subset=(7, 3, 4000, 12)).load().train
    assert torch.equal(noisy.published, plain.train.targets[[7, 3, 4000, 12]])
    assert torch.equal(noisy.changed, noisy.targets != noisy.published)
    healed = noisy.take(torch.tensor([2, 0])).to("cpu").as_published()
    assert torch.equal(healed.targets, plain.train.targets[[4000, 7]])
    assert torch.equal(healed.images, noisy.images[[2, 0]])
    assert not healed.changed.any() and healed.as_published() is healed


def test_new_labels_are_uniform_over_the_other_classes(plain):
    noisy = MNIST10k(labels=Labels(noise=1.0)).load()
    assert noisy.train.changed.all()
    shift = (noisy.train.targets - plain.train.targets) % 10
    counts = torch.bincount(shift, minlength=10)
    assert counts[0] == 0
    assert int(counts[1:].min()) > 700  # 889 expected, standard deviation 28


def test_random_labels_say_nothing_about_the_image(plain):
    drawn = MNIST10k(labels=Labels(random=True)).load()
    agree = (drawn.train.targets == plain.train.targets).double().mean()
    assert float(agree) == pytest.approx(0.1, abs=0.015)
    assert torch.equal(drawn.train.changed, drawn.train.targets != plain.train.targets)
    assert torch.equal(drawn.validation.targets, plain.validation.targets)


def test_a_subset_is_taken_in_its_order(plain):
    few = MNIST10k(subset=(5, 2, 7999)).load()
    assert torch.equal(few.train.images, plain.train.images[[5, 2, 7999]])
    assert len(few.validation) == 2000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"subset": (0, 8000)},
            "`subset` holds 8000; positions in the train part run from 0 to 7999",
        ),
        ({"split": Split(num_validation=10_000)}, "must lie between 1 and 9999"),
        ({"split": Split(num_validation=0)}, "must lie between 1 and 9999"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(InvalidArgument, match=message):
        dataclasses.replace(MNIST10k(), **options).load()


@pytest.mark.message
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Labels(noise=20), r"`noise` is 20; it must lie in \[0, 1\]"),
        (lambda: Labels(noise=0.1, random=True), "`random` replaces every label"),
    ],
)
def test_labels_out_of_range_are_refused(make, message):
    with pytest.raises(InvalidArgument, match=message):
        make()
