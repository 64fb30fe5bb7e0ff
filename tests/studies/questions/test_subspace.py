import pandas

import running
from surplus.studies import Found
from surplus.studies.conduct import study
from surplus.studies.questions import Subspace, WhoDecides
from surplus.tasks import MNIST10k

SMALL = WhoDecides(seeds=2, width=0.05, num_examples=120, num_epochs=1)


def planted(nets, *, kept, lost, update_lost, angle, elbow, scale="full"):
    """Truncations, angles and elbows as given."""
    rows = []
    for replica in range(5):
        wobble = 0.01 * replica

        def add(net, start, quantity, value, layer="fc1", at=None, replica=replica):
            rows.append(
                {
                    "net": net,
                    "start": start,
                    "replica": replica,
                    "measure": "planted",
                    "step": 9,
                    "quantity": quantity,
                    "layer": layer,
                    "at": at,
                    "value": value,
                }
            )

        for net in nets:
            error = (1 - (kept[net] / 100) ** 2) ** 0.5
            add(net, "own", "accuracy", 0.75, layer=None)
            add(net, "own", "relative_error", error, at=10.0)
            add(net, "own", "truncated_weight_accuracy", 0.75 - (lost[net] + wobble) / 100, at=10.0)
            add(net, "own", "truncated_update_accuracy", 0.75 - update_lost / 100, at=10.0)
            add(net, "own", "elbow_rank", elbow + wobble)
        for start in ("other classifier", "all other"):
            add("conv-2", start, "mean_random_angle_degrees", 80 + wobble)
            add("conv-2", start, "mean_angle_between_runs_degrees", angle - wobble)
    return Found({"measuring/findings": pandas.DataFrame(rows)}, scale)


def verdicts(found):
    return {claim.name: each.verdict for claim, each in Subspace().evidence(found).items()}


NETS = ("conv-2", "conv-6", "vgg-19-bn")


def test_the_published_numbers_are_recognised():
    found = planted(
        NETS,
        kept=dict(zip(NETS, (70, 57, 99.9), strict=True)),
        lost=dict(zip(NETS, (6.3, 3.5, 0.1), strict=True)),
        update_lost=1.0,
        angle=35,
        elbow=10,
    )
    # VGG-19 loses nothing, and Conv-2 more than its update.
    assert set(verdicts(found).values()) == {"holds"}


def test_other_numbers_are_too():
    found = planted(
        NETS, kept=dict.fromkeys(NETS, 30), lost=dict.fromkeys(NETS, 30), update_lost=30, angle=80, elbow=40
    )  # fmt: skip
    assert set(verdicts(found).values()) == {"fails"}


def test_networks_that_were_not_trained_leave_the_published_numbers_undecided():
    one = {"conv-2": 70}
    found = planted(
        ("conv-2",), kept=one, lost=one, update_lost=1, angle=35, elbow=10, scale="default"
    )
    verdict = verdicts(found)
    published = ("norms-are-as-published", "losses-are-as-published", "angles-are-as-published")
    assert {verdict[name] for name in published} == {"undecided"}
    assert verdict["directions-are-shared"] == "holds"


def test_runs_are_those_of_the_study_of_two_networks():
    theirs = {arm.spec for arm in WhoDecides().arms()}
    mine = [arm.spec for arm in Subspace().arms()]
    assert len(mine) == 3 and set(mine) < theirs


def test_the_published_scale_has_three_networks_at_full_width():
    arms = list(Subspace.at_scale("full").arms())
    assert [arm.labels["net"] for arm in arms] == ["conv-2"] * 3 + ["conv-6", "vgg-19-bn"]


def test_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "surplus.studies.questions.who_decides.CIFAR10", lambda subset: MNIST10k(subset=subset)
    )
    asked = Subspace(seeds=2, small=SMALL)
    outcome = study(asked, out=tmp_path, context=running.context(tmp_path))
    found = outcome.found
    assert len(outcome.evidence) == len(asked.claims())
    tables = asked.tables(found)
    assert len(tables["truncations"]) == 1
    assert {"mean_angle_between_runs_degrees", "joint_subspace_share"} <= set(
        tables["subspaces"]["quantity"]
    )
    assert list(asked.figures(found)) == ["spectra"]
