"""The verdict in words, on numbers that are given and on a real report."""

import torch
from torch import nn

import surplus as sp
from planted import batches
from surplus.base import Parts, Table
from surplus.measures import DeadUnits, RemovableUnits
from surplus.measures.verdict import verdict


def table(*rows: dict) -> Table:
    names = ("unit", "example", "other", "at", "lower", "upper", "n", "seed", "note")
    return Table.from_rows([dict.fromkeys(names) | {"layer": None} | row for row in rows])


def row(
    measure: str, quantity: str, value: float | None, layer: str | None = "fc1", **more
) -> dict:
    return {"measure": measure, "quantity": quantity, "value": value, "layer": layer, **more}


SEEN = (
    row("dead-units", "num_units", 300),
    row("dead-units", "num_dead", 41, n=10_000),
    row("dead-units", "num_always_on", 2, n=10_000),
    row("repeated-units", "num_repeated", 66, n=10_000),
    row("repeated-units", "num_groups", 19),
    row("removable-units", "num_removable_each", 128, n=5000),
    row("removable-units", "num_removable_together", 97, n=5000),
    row("accuracy-rank", "accuracy_rank", 24),
    row("accuracy-rank", "full_rank", 300),
    row("frame-potential", "frame_potential", 2740.4),
    row("frame-potential", "least_frame_potential", 300.0),
    row("frame-potential", "greatest_frame_potential", 90000.0),
    row("frame-potential", "random_frame_potential", 414.4),
)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_numbers_become_words():
    assert flat(verdict(table(*SEEN))) == (
        "fc1: 300 units; 41 dead, 2 always on, 66 repeated in 19 groups (10,000 examples); 128 removable at"
        " less than 0.1 point each, 97 together (5,000 examples); rank 24 of 300 carries the accuracy; frame potential"
        " 2,740 between 300 and 90,000 (414 by chance)."
    )


def test_what_is_estimated_carries_its_interval_and_what_it_rests_on():
    rows = (
        row("generalisation-gap", "train_accuracy", 0.99, None, n=10_000),
        row("generalisation-gap", "test_accuracy", 0.97, None, n=5000),
        row("generalisation-gap", "accuracy_gap", 0.02, None, lower=0.01, upper=0.03, n=5000),
        row("coherence", "m_alpha", 1.25, None, lower=1.125, upper=2.0, n=1000),
        row("neural-collapse", "nc1_within_to_between", 5.25),
    )
    assert flat(verdict(table(*rows))) == (
        "The network: accuracy 99.00\u00a0% on train (10,000 examples) and 97.00\u00a0% on test (5,000 examples), a gap"
        " of 2.00 points (1.00 to 3.00); an example's gradient helps 1.25 of 1,000 examples (1.12 to 2; 1 by chance);"
        " classes vary 5.25 times as much within as between (NC1)."
    ).replace("\u00a0", " ")


def test_layers_stay_in_order_where_one_of_them_has_no_outputs():
    rows = (
        row("dead-units", "num_units", 4, "a"),
        row("dead-units", "untreated", None, "b", note="it is odd"),
        row("dead-units", "num_units", 3, "c"),
        row("frame-potential", "frame_potential", 5.0, "b"),
    )
    assert [line[:2] for line in verdict(table(*rows)).splitlines()] == ["a:", "b:", "c:", "No"]


def test_one_group_is_no_plural():
    rows = (row("repeated-units", "num_repeated", 2), row("repeated-units", "num_groups", 1))
    assert "2 repeated in 1 group." in verdict(table(SEEN[0], *rows))


def test_of_several_snapshots_the_first_and_the_last_are_compared():
    first = [
        {"step": 0, **each, "value": each["value"] - (each["quantity"] == "num_dead")}
        for each in SEEN
    ]
    last = [{"step": 900, **each} for each in SEEN]
    words = flat(verdict(table(*first, *last)))
    assert words.startswith("From step 0 to step 900: fc1: 300 units; 40 -> 41 dead, 2 always on")


def test_what_was_not_measured_is_said_once_for_all_layers():
    reason = {"note": "it is odd", "value": None}
    rows = [row("cka", "untreated", 0, layer) | reason for layer in ("fc1", "fc2")]
    words = verdict(table(*SEEN, *rows, row("path-norm", "untreated", 0, None) | reason))
    assert words.endswith("Not measured: cka of fc1, fc2; path-norm: it is odd.")


def test_a_real_report_speaks_of_every_layer():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3)
    ).double()
    data = batches(30, (6,), 3)
    initial = {name: each + 0.1 for name, each in model.state_dict().items()}
    words = flat(verdict(sp.measure(model, data=Parts(data, data, data), initial=initial)))
    for part in (
        "0: 8 units;",
        "2: 5 units;",
        "4: 3 units;",
        "The network: accuracy",
        "rank",
        "CKA",
    ):
        assert part in words
    assert "None" not in words and "nan" not in words


def test_it_names_the_tolerance_that_was_asked_for(mlp):
    data = batches(40, (6,), 3)
    told = verdict(sp.measure(mlp, data, by=(DeadUnits(), RemovableUnits(tolerance=0.02))))
    assert "removable at less than 2 points each" in told
    told = verdict(sp.measure(mlp, data, by=(DeadUnits(), RemovableUnits())))
    assert "removable at less than 0.1 point each" in told
