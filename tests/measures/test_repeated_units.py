"""Repeated units, against loops and planted copies."""

import pytest
import torch
from torch import nn

from measuring import found_by, numbers_of, units_of
from oracles.correlation import pearson
from planted import batches, shaken
from surplus.measures import RepeatedUnits
from surplus.measures.repeated_units import selectivities
from surplus.nets import Conv2
from surplus.passes.statistics import ClassSums

DATA = batches(30, (6,), 3)


def columns_of(mlp):
    rows = torch.cat([mlp[:2](inputs) for inputs, _ in DATA]).detach()
    return [column.tolist() for column in rows.T]


def test_is_what_loops_give(mlp):
    columns = columns_of(mlp)
    similar = [
        sum(abs(pearson(columns[i], columns[j])) >= 0.5 for j in range(8) if j != i)
        for i in range(8)
    ]
    found = numbers_of(found_by(RepeatedUnits(), mlp, DATA), "0")
    assert found["mean_similarity"] == pytest.approx(sum(similar) / 8)
    assert found["greatest_similarity"] == max(similar)
    assert found["num_similar"] == sum(each > 0 for each in similar)


def test_pca_width_is_the_least_number_of_components_that_hold_the_share(mlp):
    centred = torch.tensor(columns_of(mlp)).T
    centred = centred - centred.mean(0)
    found = numbers_of(found_by(RepeatedUnits(), mlp, DATA), "0")
    for share in (0.95, 0.8):
        values = torch.linalg.svdvals(centred).square()
        width = next(k for k in range(1, 9) if values[:k].sum() >= share * values.sum())
        assert found["pca_width", share] == width


def test_a_bottleneck_of_two_directions_has_width_two():
    model = nn.Sequential(nn.Linear(6, 2), nn.Linear(2, 7), nn.Identity(), nn.Linear(7, 3)).double()
    found = found_by(RepeatedUnits(shares=(1 - 1e-9,)), model, DATA)
    widths = {each.layer: each.value for each in found if each.quantity == "pca_width"}
    assert widths["1"] == 2


def test_finds_planted_copies(mlp):
    """Units 1, 4 and 6 are multiples of each other before their bias, and so are 0 and 3; unit 7 is dead."""
    with torch.no_grad():
        layer = mlp[0]
        for copy, of, factor in ((4, 1, 2.0), (6, 1, 0.5), (3, 0, 3.0)):
            layer.weight[copy], layer.bias[copy] = (
                factor * layer.weight[of],
                factor * layer.bias[of],
            )
        layer.bias[7] = -100.0
    found = found_by(RepeatedUnits(), mlp, DATA)
    numbers = numbers_of(found, "0")
    assert units_of(found, "0", "group") == {1: 0, 4: 0, 6: 0, 0: 1, 3: 1}
    assert numbers["num_repeated"] == 5
    assert numbers["num_groups"] == 2
    assert numbers["num_repeats"] == 3
    assert numbers["num_constant"] == 1
    # Every copy is similar to the others of its group at least.
    assert numbers["num_similar"] >= 5
    assert numbers["mean_similarity"] >= (3 * 2 + 2 * 1) / 7


def test_units_of_opposite_sign_repeat_each_other():
    model = nn.Sequential(nn.Linear(6, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    with torch.no_grad():
        model[0].weight[2], model[0].bias[2] = -model[0].weight[0], -model[0].bias[0]
    found = found_by(RepeatedUnits(), model, DATA)
    assert units_of(found, "0", "group") == {0: 0, 2: 0}
    notes = [each.note for each in found if each.quantity == "mean_selectivity"]
    assert "negative values" in notes[0]


def test_a_dead_layer_is_named(mlp):
    with torch.no_grad():
        mlp[0].bias[:] = -100.0
    found = [each for each in found_by(RepeatedUnits(), mlp, DATA) if each.layer == "0"]
    assert [(each.quantity, each.note) for each in found] == [
        ("untreated", "none of its units ever changes on these data")
    ]


def test_selectivity_is_what_loops_give():
    rows = torch.rand(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows[:, 2] = 0.0
    labels = torch.tensor([0] * 3 + [1] * 10 + [3] * 7)
    sums = ClassSums(3)
    sums.add(rows, labels)
    expected = []
    for unit in range(2):
        values = rows[:, unit].tolist()
        by_class = {
            label: [
                value for value, each in zip(values, labels.tolist(), strict=True) if each == label
            ]
            for label in (0, 1, 3)
        }
        best = max(by_class, key=lambda label: sum(by_class[label]) / len(by_class[label]))
        own = sum(by_class[best]) / len(by_class[best])
        rest = [value for label, each in by_class.items() if label != best for value in each]
        others = sum(rest) / len(rest)
        expected.append((own - others) / (own + others))
    assert selectivities(sums).tolist() == pytest.approx([*expected, 0.0])


def test_selectivity_ends():
    """A unit that fires for one class alone has 1, one that fires alike for all 0; a single class tells nothing."""
    sums = ClassSums(2)
    sums.add(torch.tensor([[2.0, 1.0], [0.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 1, 2]))
    assert selectivities(sums).tolist() == [1.0, 0.0]
    alone = ClassSums(2)
    alone.add(torch.ones(3, 2), torch.tensor([1, 1, 1]))
    assert selectivities(alone).tolist() == [0.0, 0.0]


def test_selectivity_needs_labels(mlp):
    data = [(inputs, inputs) for inputs, _ in DATA]
    found = found_by(RepeatedUnits(), mlp, data)
    (selectivity,) = (
        each for each in found if each.quantity == "mean_selectivity" and each.layer == "0"
    )
    assert selectivity.value is None and selectivity.note == "the targets are not class labels"


def test_filters_are_compared_over_positions():
    model = shaken(Conv2(width=0.1).build((1, 8, 8), 3, seed=0))
    with torch.no_grad():
        model.conv1.weight[1], model.conv1.bias[1] = (
            2 * model.conv1.weight[0],
            2 * model.conv1.bias[0],
        )
    found = found_by(RepeatedUnits(), model, batches(5, (1, 8, 8), 3))
    assert {0, 1} <= set(units_of(found, "conv1", "group"))
