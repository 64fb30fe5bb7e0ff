"""Phases of spectra: the grid, and the claims on planted numbers."""

import pandas

import running
from surplus.studies import Found
from surplus.studies.conduct import study
from surplus.studies.questions import SpectralPhases
from surplus.tasks import MNIST10k


def planted(alpha, spikes, permuted_spikes=0.0):
    """Findings in which alpha is a function of batch size, and spikes of width and of whether it is after training."""
    rows = []
    for arm in SpectralPhases().arms():
        steps = arm.spec.training.snapshots.given
        for step in (steps[0], steps[-1]):
            for replica in range(5):
                wobble = 0.01 * replica
                values = {
                    "alpha": alpha(arm.labels["batch_size"]),
                    "permuted_alpha": 8.0,
                    "num_spikes": spikes(arm.labels["width"], step > 0),
                    "permuted_num_spikes": permuted_spikes,
                }
                rows += [
                    {
                        **arm.labels,
                        "replica": replica,
                        "measure": "planted",
                        "step": step,
                        "layer": "fc1",
                        "quantity": quantity,
                        "value": value + (wobble if "permuted" not in quantity else 0),
                    }
                    for quantity, value in values.items()
                ]
    return Found({"measuring/findings": pandas.DataFrame(rows)}, "default")


def verdicts(found):
    asked = SpectralPhases()
    return {claim.name: each.verdict for claim, each in asked.evidence(found).items()}


def test_the_published_picture_is_recognised():
    found = planted(lambda size: 2.0 + size / 50, lambda width, trained: 9.0 if trained else 0.0)
    # The batches at an equal number of updates lie closer to one another than those at equal epochs.
    assert set(verdicts(found).values()) == {"holds"}


def test_its_opposite_is_too():
    found = planted(
        lambda size: 9.0, lambda width, trained: 200 * width if trained else 400 * width, 500.0
    )
    assert set(verdicts(found).values()) == {"fails"}


def test_no_spikes_at_some_width_leave_the_slope_undecided():
    found = verdicts(planted(lambda size: 9.0, lambda width, trained: -1.0 if width < 1 else 9.0))
    assert found["spikes-do-not-grow-with-width"] == "undecided"


def test_runs_are_shared_between_the_rows():
    arms = list(SpectralPhases().arms())
    assert len(arms) == 11 and len({arm.spec for arm in arms}) == 9
    equal = {arm.spec.training.num_steps for arm in arms if "updates" in arm.labels["varied"]}
    assert len(equal) == 1


def test_the_published_scale_has_the_published_network():
    arms = list(SpectralPhases.at_scale("full").arms())
    assert {arm.spec.net.kind for arm in arms} == {"alexnet-small"}
    assert {arm.spec.task.kind for arm in arms} == {"cifar-10"}


def test_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("surplus.studies.questions.spectral_phases.MNIST", MNIST10k)
    asked = SpectralPhases(
        seeds=2, batch_sizes=(16, 32, 64), widths=(0.25, 1.0), num_examples=128, num_epochs=1
    )
    outcome = study(asked, out=tmp_path, context=running.context(tmp_path))
    assert len(outcome.evidence) == len(asked.claims())
    tables = asked.tables(outcome.found)
    assert len(tables["spectra"]) == 3 + 3 + 2
    assert set(tables["phases"]["replicas"]) <= {1, 2}
    assert set(asked.figures(outcome.found)) == {"tails", "spikes"}
