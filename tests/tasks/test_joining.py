import dataclasses

import pytest
import torch

from surplus.base import InvalidArgument, decode, encode, fingerprint
from surplus.base import Task as AnyTask
from surplus.tasks import CIFAR10, MNIST, Digits, Joined, Labels, MNIST10k, Split

FEW = MNIST10k(only=(7, 2), split=Split(num_validation=100))


def test_only_some_classes_are_kept_and_renumbered():
    plain, few = MNIST10k().load(), FEW.load()
    assert FEW.num_classes == 2
    assert [len(part) for part in few] == [1900, 100, 400]
    for label, place in ((7, 0), (2, 1)):
        expected = plain.test.images[plain.test.targets == label]
        assert torch.equal(few.test.images[few.test.targets == place], expected)


def test_noise_stays_within_the_kept_classes():
    noisy = dataclasses.replace(FEW, labels=Labels(noise=0.5)).load()
    assert int(noisy.train.changed.sum()) == 950
    assert set(noisy.train.targets.tolist()) == {0, 1}


def test_all_classes_have_the_address_that_they_had():
    assert fingerprint(MNIST10k(only=None)) == fingerprint(MNIST10k())
    assert fingerprint(FEW) != fingerprint(MNIST10k())


@pytest.mark.message
def test_classes_that_are_not_there_are_refused():
    with pytest.raises(InvalidArgument, match="the classes of `mnist-10k` are 0 to 9"):
        MNIST10k(only=(3, 10))
    for only in ((3,), (3, 3)):
        with pytest.raises(InvalidArgument, match="two or more different classes"):
            MNIST10k(only=only)


def test_joined_data_sets_follow_each_other():
    first = MNIST10k(only=(0, 1), split=Split(num_validation=100))
    both = Joined(first=first, second=FEW)
    assert (both.num_classes, both.input_shape) == (4, (1, 28, 28))
    assert decode(AnyTask, encode(both)) == both
    parts, some, other = both.load(), first.load(), FEW.load()
    for joined, one, two in zip(parts, some, other, strict=True):
        assert torch.equal(joined.images, torch.cat([one.images, two.images]))
        assert joined.targets.tolist() == one.targets.tolist() + [
            2 + y for y in two.targets.tolist()
        ]
        shifted = [2 + y for y in two.as_published().targets.tolist()]
        assert joined.as_published().targets.tolist() == (
            one.as_published().targets.tolist() + shifted
        )
    assert both.content_hash != first.content_hash


def test_joined_images_are_standardised_together():
    """Half the pixels have mean 1, half mean 3, both deviation 2: together mean 2 and variance 4 + 1."""
    part = MNIST10k().load().test
    ones = dataclasses.replace(part, mean=(1.0,), std=(2.0,))
    threes = dataclasses.replace(part, mean=(3.0,), std=(2.0,))
    found = Joined()._together(ones, threes)
    assert found.mean == pytest.approx((2.0,)) and found.std == pytest.approx((5**0.5,))


@pytest.mark.message
def test_images_of_two_shapes_are_refused():
    with pytest.raises(InvalidArgument, match="are joined have images of one shape"):
        Joined(first=MNIST(), second=CIFAR10())
    with pytest.raises(InvalidArgument, match="one scale|one shape"):
        Joined(first=MNIST(), second=Digits())
