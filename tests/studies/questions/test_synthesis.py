"""The synthesis: planted numbers for and against each theory, and a tiny run of all of it."""

import numpy
import pandas
import pytest

from surplus.base import label
from surplus.methods import Context
from surplus.store import Store
from surplus.studies import Found, study
from surplus.studies.claim import THEORIES
from surplus.studies.questions.synthesis import LOW_RANK, RANKS, Synthesis
from surplus.tasks import MNIST10k

WIDTHS = Synthesis().widths
PREDICTED = {
    "effective_num_directions": lambda width, noise: width**0.7 * 2**noise,
    "num_spikes": lambda width, noise: 9 + noise,
    "mean_unit_capacity": lambda width, noise: width**-0.5 * 2**noise,
    "rescaled_accuracy": lambda width, noise: 0.972 - (0.1 + noise / 10) / width,
}
CONTRARY = {
    "effective_num_directions": lambda width, noise: width * 2**noise,
    "num_spikes": lambda width, noise: width / 4 + noise,
    "mean_unit_capacity": lambda width, noise: 2**noise,
    "rescaled_accuracy": lambda width, noise: 0.90 + noise / 100,
}


def planted(quantities, gain, rank):
    """Tables as the methods return them, with a little noise that differs from replica to replica."""
    generator = numpy.random.default_rng(0)
    findings, history = [], []
    for width in WIDTHS:
        for replica in range(5):
            here = {"width": width, "replica": replica, "run": f"{width}/{replica}"}
            for quantity, formula in quantities.items():
                value = formula(width, generator.normal(0, 0.02))
                row = {"measure": "any", "quantity": quantity, "layer": "fc1", "value": value}
                findings.append(here | row)
            # The frame potential of random directions, m^2 / m = m where they are few.
            random = {"measure": "any", "quantity": "random_frame_potential", "layer": "fc1"}
            findings.append(here | random | {"value": float(width)})
            network = {"measure": label(LOW_RANK), "quantity": "accuracy", "layer": None}
            findings.append(here | network | {"value": 0.97})
            for at in RANKS:
                kept = {"quantity": "truncated_update_accuracy", "layer": "fc1", "at": float(at)}
                enough = 0.965 if at >= rank(width) else 0.7
                findings.append(here | kept | {"measure": label(LOW_RANK), "value": enough})
            whole = {"measure": "random-halves", "quantity": "accuracy", "layer": None}
            findings.append(here | whole | {"value": 0.972})
            for arm, accuracy in (("random", 0.9), ("ticket", 0.9 + gain)):
                noise = generator.normal(0, 0.002)
                history.append(here | {"arm": arm, "step": 9, "test_accuracy": accuracy + noise})
    return Found(
        {
            "measuring/findings": pandas.DataFrame(findings),
            "unit-tickets/history": pandas.DataFrame(history),
        },
        "default",
    )


@pytest.mark.parametrize(
    ("quantities", "gain", "rank", "verdict"),
    [
        (PREDICTED, 0.02, lambda width: 10, "holds"),
        (CONTRARY, 0.0, lambda width: width / 8, "fails"),
    ],
)
def test_each_theory_is_judged_by_its_own_prediction(quantities, gain, rank, verdict):
    evidence = Synthesis().evidence(planted(quantities, gain, rank))
    assert {claim.theory for claim in evidence} == set(THEORIES)
    assert {claim.name: each.verdict for claim, each in evidence.items()} == {
        claim.name: verdict for claim in evidence
    }


@pytest.mark.slow
def test_all_of_it_on_tiny_networks(tmp_path):
    tiny = Synthesis(seeds=2, widths=(8, 16), num_epochs=1, num_examples=640, task=MNIST10k())
    context = Context(store=Store(tmp_path / "runs"), progress=False)
    outcome = study(tiny, "smoke", out=tmp_path, context=context)
    assert {each.verdict for each in outcome.evidence.values()} == {"undecided"}
    assert all(each.reason == "smaller scale: smoke" for each in outcome.evidence.values())
    assert all(each.estimate is not None for each in outcome.evidence.values())
    assert (tmp_path / "synthesis" / "predictions.svg").stat().st_size > 10_000
    assert len(outcome.runs) == 4
