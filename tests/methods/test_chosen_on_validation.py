"""Whatever is chosen is chosen on validation: parts whose labels disagree tell at which one a choice looked."""

import dataclasses
from dataclasses import replace

import pytest

from planted import Stripes, contrary
from running import Listening, finished, member, spec
from surplus.base import Parts
from surplus.methods import Ablation, Cutting, subject_of_run
from surplus.scores import LeaveOneOutLoss, Taylor
from surplus.training import train_fleet
from surplus.training.interventions import Pruning

CRITERIA = [LeaveOneOutLoss(), Taylor(per_example=False)]
# Validation alone may decide: whichever other part is turned round, the choice stays; with validation it moves.
OTHERS = ["train", "test"]


def turned(parts: Parts, name: str) -> Parts:
    return parts._replace(**{name: contrary(getattr(parts, name))})


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    run, where = finished(tmp_path_factory.mktemp("trained"), num_steps=48)
    return subject_of_run(run, where)


def seen_by(subject, name):
    return dataclasses.replace(subject, parts=turned(subject.parts, name))


@pytest.mark.parametrize("remove", ["lowest", "highest"])
@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda score: score.kind)
def test_an_ablation_takes_its_order_from_validation(subject, criterion, remove):
    ablation = Ablation(layers=("fc1",), scores=(criterion,), remove=(remove,))
    order = ablation.curves(subject)["unit"]
    for name in OTHERS:
        assert ablation.curves(seen_by(subject, name))["unit"] == order
    assert ablation.curves(seen_by(subject, "validation"))["unit"] != order


def test_an_ablation_reports_each_part_under_its_name(subject):
    ablation = Ablation(layers=("fc1",), remove=("lowest",))
    plain, other = ablation.curves(subject), ablation.curves(seen_by(subject, "test"))
    assert other["validation_loss"] == plain["validation_loss"]
    assert other["validation_accuracy"] == plain["validation_accuracy"]
    assert plain["test_accuracy"][0] > 0.8
    assert other["test_accuracy"][0] < 0.2


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda score: score.kind)
def test_a_cut_takes_its_mask_from_validation(subject, criterion):
    cutting = Cutting(sparsity=0.5, score=criterion, layers=("fc1",))
    mask = cutting.mask(subject)
    for name in OTHERS:
        assert cutting.mask(seen_by(subject, name)) == mask
    assert cutting.mask(seen_by(subject, "validation")) != mask


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda score: score.kind)
def test_pruning_in_training_looks_at_validation(criterion):
    """The train part decides here too, but only through the weights: so the removal comes before the first update."""
    intervention = Pruning(sparsity=0.5, score=criterion, layers=("fc1",))

    def removed(parts):
        listening = Listening()
        wanted = replace(spec(num_steps=1), interventions=(intervention,))
        train_fleet([replace(member(wanted), recorder=listening)], parts)
        (values,) = [each for kind, _, each in listening.events if kind == "intervention"]
        return values["removed"]["fc1"]

    parts = Stripes().load()
    for name in OTHERS:
        assert removed(turned(parts, name)) == removed(parts)
    assert removed(turned(parts, "validation")) != removed(parts)
