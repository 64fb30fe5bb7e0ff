"""The study of intrinsic dimensions: what its claims make of planted dimensions, its arms, and a small search."""

import pandas
import pytest

from surplus.methods import Context
from surplus.store import Store
from surplus.studies import Found, study
from surplus.studies.questions import IntrinsicDimensionOfTasks, intrinsic_dimension
from surplus.tasks import MNIST10k

ASKED = ("learn", "fit", "memorise")


def planted(dimension):
    """Searches whose results are a function of what is asked and of the number of parameters."""
    rows = [
        {
            "asked": asked,
            "width": width,
            "replica": replica,
            "num_parameters": 1000 * width,
            "dimension": dimension(asked, 1000 * width, replica),
        }
        for asked in ASKED
        for width in (25, 50, 100, 200)
        for replica in range(4)
    ]
    return Found({"intrinsic-dimension/dimensions": pandas.DataFrame(rows)}, "default")


def of_the_task(asked, size, replica):
    return (5000 if asked == "memorise" else 700) + 10 * replica


def of_the_network(asked, size, replica):
    return size / 10 + 10 * replica


def verdicts(found):
    evidence = IntrinsicDimensionOfTasks().evidence(found)
    return {claim.name: each.verdict for claim, each in evidence.items()}


def test_a_dimension_of_the_task_is_told_from_one_of_the_network():
    assert set(verdicts(planted(of_the_task)).values()) == {"holds"}
    assert set(verdicts(planted(of_the_network)).values()) == {"fails"}


def test_a_dimension_that_falls_is_not_constant_either():
    found = planted(lambda asked, size, replica: 1e7 / size + replica)
    assert verdicts(found)["constant-in-width"] == "fails"


def test_the_slope_is_that_of_a_power_law():
    evidence = IntrinsicDimensionOfTasks().constant_in_width(
        planted(lambda asked, size, replica: size**0.4)
    )
    assert evidence.estimate == pytest.approx(0.4)
    assert evidence.verdict == "fails"


def test_a_search_that_never_got_there_leaves_its_claims_undecided():
    found = planted(
        lambda asked, size, replica: (
            None if asked == "memorise" and replica == 2 else of_the_task(asked, size, replica)
        )
    )
    evidence = verdicts(found)
    assert evidence["constant-for-random-labels"] == "undecided"
    assert evidence["random-labels-take-more"] == "undecided"
    assert evidence["constant-in-width"] == "holds"


def test_one_width_has_no_slope():
    frame = planted(of_the_task)["intrinsic-dimension/dimensions"]
    found = Found({"intrinsic-dimension/dimensions": frame[frame["width"] == 200]}, "default")
    assert verdicts(found)["constant-in-width"] == "undecided"


def test_learning_and_fitting_share_their_networks():
    asked = IntrinsicDimensionOfTasks()
    arms = list(asked.arms())
    assert len(arms) == 3 * len(asked.widths)
    assert len({arm.spec for arm in arms}) == 2 * len(asked.widths)
    for learn, fit, memorise in zip(arms[::3], arms[1::3], arms[2::3], strict=True):
        assert learn.spec == fit.spec != memorise.spec
        assert memorise.spec.task.labels.random
        assert [arm.methods[0].part for arm in (learn, fit, memorise)] == [
            "validation",
            "train",
            "train",
        ]
    assert IntrinsicDimensionOfTasks(num_examples=None).spec(50, False).task.subset is None


def test_it_runs_from_end_to_end(tmp_path, monkeypatch):
    monkeypatch.setattr(intrinsic_dimension, "MNIST", MNIST10k)
    asked = IntrinsicDimensionOfTasks(seeds=1, widths=(4, 8), num_examples=100, num_epochs=2)
    outcome = study(asked, "smoke", context=Context(store=Store(tmp_path), progress=False))
    found = outcome.found
    frame = found["intrinsic-dimension/dimensions"]
    assert len(frame) == 6
    assert set(frame.groupby("width")["num_parameters"].first()) == {3210, 6442}
    curve = found["intrinsic-dimension/curve"]
    judged = curve[["validation_accuracy", "train_accuracy"]].notna().sum(axis=1)
    assert (judged == 1).all()
    assert {each.verdict for each in outcome.evidence.values()} == {"undecided"}
    assert list(asked.tables(found)["dimensions"]["asked"].unique()) == list(ASKED)
    assert set(asked.figures(found)) == {"dimensions", "accuracies"}
