import pytest
import torch
from torch import nn

from asking import asked, dense, notes, of_layer, randn, seen_of
from oracles.geometry import length
from surplus.masks import Mask
from surplus.measures import DistanceFromInit

MEASURE = DistanceFromInit()


def seen(U, V, U0, V0, **more):
    initial = {"0.weight": U0, "2.weight": V0}
    return seen_of(MEASURE, dense(U, V), initial=initial, **more)


def test_it_is_that_of_loops():
    U, V, U0, V0 = randn(4, 3), randn(2, 4, seed=1), randn(4, 3, seed=2), randn(2, 4, seed=3)
    found = asked(MEASURE, seen(U, V, U0, V0))
    capacities, impacts = [], []
    for unit in range(4):
        capacities.append(length([float(U[unit, x] - U0[unit, x]) for x in range(3)]))
        impacts.append(length([float(V[y, unit]) for y in range(2)]))
        assert found["unit_capacity", "0", None, unit, None] == pytest.approx(capacities[unit])
        assert found["unit_impact", "0", None, unit, None] == pytest.approx(impacts[unit])
    assert of_layer(MEASURE, seen(U, V, U0, V0)) == pytest.approx(
        {
            "distance": length(capacities),
            "relative_distance": length(capacities) / length(U0.flatten().tolist()),
            "mean_unit_capacity": sum(capacities) / 4,
            "greatest_unit_capacity": max(capacities),
            "mean_unit_impact": sum(impacts) / 4,
            "greatest_unit_impact": max(impacts),
        }
    )
    moved = [*(U - U0).flatten().tolist(), *(V - V0).flatten().tolist()]
    total = of_layer(MEASURE, seen(U, V, U0, V0), None)["distance"]
    assert total == pytest.approx(length(moved))
    assert not any(quantity == "unit_impact" and layer == "2" for quantity, layer, *_ in found)


def test_one_unit_that_moved_is_the_whole_distance():
    U0, V = randn(5, 4), randn(2, 5, seed=1)
    U = U0.clone()
    U[3] += torch.tensor([0.0, 3.0, 4.0, 0.0])
    found = asked(MEASURE, seen(U, V, U0, V))
    assert found["distance", "0", None, None, None] == pytest.approx(5)
    assert found["distance", None, None, None, None] == pytest.approx(5)
    assert [found["unit_capacity", "0", None, unit, None] for unit in range(5)] == [
        0,
        0,
        0,
        pytest.approx(5),
        0,
    ]


def test_a_filter_is_read_at_all_positions():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)).double()
    initial = {name: torch.zeros_like(each) for name, each in model.state_dict().items()}
    found = asked(MEASURE, seen_of(MEASURE, model, (1, 4, 4), initial=initial))
    for unit in range(2):
        outgoing = model[3].weight[:, 4 * unit : 4 * unit + 4].detach()
        impact = found["unit_impact", "0", None, unit, None]
        assert impact == pytest.approx(float(outgoing.norm()))
        capacity = found["unit_capacity", "0", None, unit, None]
        assert capacity == pytest.approx(float(model[0].weight[unit].detach().norm()))
    assert found["relative_distance", "0", None, None, None] is None


def test_what_was_removed_did_not_move():
    U0, V = randn(3, 4), randn(2, 3, seed=1)
    mask = Mask({"0": torch.tensor([True, True, False])}, "units")
    U = U0 * mask.kept["0"][:, None]
    found = of_layer(MEASURE, seen(U, V, U0, V, mask=mask))
    assert found["distance"] == 0
    nothing = Mask({"0": torch.zeros(3, dtype=torch.bool)}, "units")
    assert notes(MEASURE, seen(U, V, U0, V, mask=nothing)) == {"0": "none of its units is kept"}
    lost = notes(MEASURE, seen_of(MEASURE, dense(U, V)))
    reason = "it compares with initialisation, which is not known: pass `initial=`, or `--initial`"
    assert lost == {"0": reason, "2": reason, None: reason}
