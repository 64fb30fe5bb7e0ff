import pandas

import running
from surplus.studies import Found
from surplus.studies.conduct import study
from surplus.studies.questions import UpdateRank
from surplus.studies.questions.update_rank import RANKS, knees
from surplus.tasks import Joined, MNIST10k

CLASSES = (2, 5, 10, 20)


def planted(knee, left_out, random):
    """Networks that need as many directions of the update as a function of their classes says."""
    rows = []
    for classes in CLASSES:
        for replica in range(5):
            wobble = 0.0002 * replica
            front = {"classes": classes, "replica": replica, "measure": "planted"}

            def add(quantity, layer, at, value, front=front):
                rows.append(
                    {**front, "quantity": quantity, "layer": layer, "at": at, "value": value}
                )

            add("accuracy", None, None, 0.95)
            add("update_spectral_norm", "fc2", None, 2.0)
            for k in RANKS:
                enough = 0.945 if k >= knee(classes) else 0.9
                for layer in (None, "fc1"):
                    add("truncated_update_accuracy", layer, float(k), enough + wobble)
                    add("random_update_accuracy", layer, float(k), random + wobble)
                    add("truncated_weight_accuracy", layer, float(k), random - wobble)
                    add("update_residual_accuracy", layer, float(k), 0.1)
                add("removed_update_spectral_norm", "fc2", float(k), left_out + wobble)
    return Found({"measuring/findings": pandas.DataFrame(rows)}, "default")


def verdicts(found):
    return {claim.name: each.verdict for claim, each in UpdateRank().evidence(found).items()}


def test_networks_that_learn_as_many_directions_as_classes_are_recognised():
    found = planted(knee=lambda classes: classes, left_out=0.4, random=0.3)
    expected = dict.fromkeys(verdicts(found), "holds")
    assert verdicts(found) == expected
    assert set(knees(found)["knee"] - knees(found)["classes"]) == {0}


def test_networks_that_learn_in_one_number_of_directions_are_too():
    found = verdicts(planted(knee=lambda classes: 20, left_out=0.01, random=0.95))
    assert set(found.values()) == {"fails"}


def test_a_knee_beyond_what_was_tried_leaves_the_claims_undecided():
    found = planted(knee=lambda classes: 100, left_out=0.4, random=0.3)
    assert knees(found)["knee"].isna().all()
    verdict = verdicts(found)
    assert verdict["knee-grows-with-classes"] == "undecided"
    assert verdict["knee-is-the-number-of-classes"] == "undecided"


def test_each_number_of_classes_has_its_task():
    arms = list(UpdateRank(num_examples=100).arms())
    assert [arm.spec.task.num_classes for arm in arms] == list(CLASSES)
    joined = arms[-1].spec.task
    assert isinstance(joined, Joined)
    assert len(joined.first.subset) + len(joined.second.subset) == 100


def test_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("surplus.studies.questions.update_rank.MNIST", MNIST10k)
    asked = UpdateRank(seeds=2, widths=(24, 24), num_classes=(10,), num_examples=128, num_epochs=1)
    outcome = study(asked, out=tmp_path, context=running.context(tmp_path))
    found = outcome.found
    assert len(outcome.evidence) == len(asked.claims())
    assert len(asked.tables(found)["knees"]) == 1
    assert list(asked.figures(found)) == ["accuracy"]
