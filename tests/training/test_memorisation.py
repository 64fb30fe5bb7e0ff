"""The probe that tells clean from changed training examples, on a network whose answers are known."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from planted import image_part
from running import context
from surplus.base import InvalidArgument, Parts
from surplus.methods import History, train
from surplus.nets import LeNet300100
from surplus.tasks import ImagePart, Labels, MNIST10k
from surplus.training import Spec, Training
from surplus.training.moments import EverySteps
from surplus.training.optimizers import Adam
from surplus.training.probes import Memorisation


def looked(train, answers):
    """Look at a network that gives each image of the train part, told by its first pixel, a certain answer."""

    class Knowing(nn.Module):
        def __init__(self):
            super().__init__()
            self.answers = nn.Parameter(nn.functional.one_hot(answers, 3).float())

        def forward(self, inputs):
            places = (inputs[:, 0, 0, 0] * 0.3 * 255 + 0.4 * 255).round().long()
            return self.answers[places]

    state = SimpleNamespace(
        parts=Parts(train, train, train),
        model=Knowing(),
        performance=lambda part: SimpleNamespace(accuracy=0.25),
    )
    return Memorisation().look(state)


def numbered(targets, published):
    """Images whose first pixel is their position."""
    images = torch.zeros(len(targets), 1, 1, 1, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(len(targets))
    return ImagePart(
        images=images,
        targets=targets,
        changed=targets != published,
        mean=(0.4,),
        std=(0.3,),
        published=published,
    )


def test_clean_memorised_and_healed_are_told_apart():
    published = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    targets = torch.tensor([0, 1, 2, 0, 2, 0, 1, 2])
    #           right on two of the four clean; of the changed, one memorised, two healed, one neither
    answers = torch.tensor([0, 1, 0, 1, 2, 2, 0, 0])
    assert looked(numbered(targets, published), answers) == {
        "clean_accuracy": 0.5,
        "memorised_accuracy": 0.25,
        "healed_accuracy": 0.5,
        "test_accuracy": 0.25,
    }


def test_without_changed_or_without_clean_examples_there_is_no_number():
    published = torch.tensor([0, 1, 2])
    clean = looked(numbered(published, published), published)
    assert clean["clean_accuracy"] == 1.0
    assert clean["memorised_accuracy"] is None and clean["healed_accuracy"] is None
    changed = looked(numbered((published + 1) % 3, published), published)
    assert changed["clean_accuracy"] is None
    assert changed["memorised_accuracy"] == 0.0 and changed["healed_accuracy"] == 1.0


def test_a_part_without_changes_of_its_own_is_refused():
    part = [(torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64))]
    state = SimpleNamespace(parts=Parts(part, part, part), model=nn.Identity())
    with pytest.raises(InvalidArgument, match="knows which of its labels were changed, .* a list"):
        Memorisation().look(state)


def test_a_network_memorises_in_the_course_of_a_run(tmp_path):
    """It finds the true labels of changed examples first, and knows the wrong ones by heart in the end."""
    training = Training(
        optimizer=Adam(learning_rate=3e-3),
        batch_size=50,
        num_steps=300,
        probes=(Memorisation(at=EverySteps(every=30)),),
    )
    task = MNIST10k(subset=tuple(range(300)), labels=Labels(noise=0.3))
    where = context(tmp_path)
    (run,) = train(Spec(net=LeNet300100(width=0.3), task=task, training=training), (0,), where)
    events = History(event="memorisation").apply(run, where).tables["events"]
    assert events["step"] == list(range(0, 301, 30))
    assert max(events["healed_accuracy"]) > 0.4
    assert events["healed_accuracy"][-1] < 0.3
    assert events["memorised_accuracy"][-1] > 0.9
    assert events["clean_accuracy"][-1] > 0.9
    assert 0.3 < events["test_accuracy"][-1] < 0.9


def test_a_part_made_by_hand_has_no_other_labels():
    part = image_part(10, seed=0)
    assert part.as_published() is part
