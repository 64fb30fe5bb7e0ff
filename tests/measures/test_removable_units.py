"""Removable units, against masking and running again, and networks whose removable units are known."""

import dataclasses

import pytest
import torch
from torch import nn

from measuring import found_by, numbers_of, seen_with
from oracles.removals import judged
from planted import TinyResidual, batches, contrary, image_part, shaken
from surplus.base import InvalidArgument, Parts
from surplus.masks import Mask, enforce
from surplus.measures import RemovableUnits, findings
from surplus.measures.removable_units import prunability
from surplus.passes import mean_estimate
from surplus.passes.estimates import quantile_of_student
from surplus.units import find_units

DATA = batches(30, (6,), 3)


def predictions(model, data):
    with torch.no_grad():
        return [int(model(x[None])[0].argmax()) for inputs, _ in data for x in inputs]


def own_answers(model, data):
    """The data with the network's own predictions as targets."""
    with torch.no_grad():
        return [(inputs, model(inputs).argmax(1)) for inputs, _ in data]


def masked_to(model, units, layer, kept):
    return enforce(model, Mask({layer: kept}, "units", units))


@pytest.mark.parametrize("which", ["chain", "residual"])
def test_counts_are_those_of_masking_and_running_again(which, mlp):
    """Singles and the greedy prefix, on a chain and on a network that runs again for each removal."""
    if which == "chain":
        model, data, layer = mlp, DATA, "0"
    else:
        model = shaken(TinyResidual().build((1, 4, 4), 3, seed=0))
        data, layer = batches(20, (1, 4, 4), 3), "fc1"
    units = find_units(model, data[0][0][:2])
    size = units[layer].size
    n = sum(len(targets) for _, targets in data)
    whole, full = judged(model, data)
    lost, changes = [], []
    for unit in range(size):
        kept = torch.arange(size) != unit
        loss, correct = judged(masked_to(model, units, layer, kept), data)
        lost.append((full - correct) / n)
        changes.append(abs(loss - whole))
    order = sorted(range(size), key=lambda unit: (max(lost[unit], 0), changes[unit]))
    tolerance = 0.04
    together = 0
    for count in range(size + 1):
        kept = torch.ones(size, dtype=torch.bool)
        kept[order[:count]] = False
        if (full - judged(masked_to(model, units, layer, kept), data)[1]) / n < tolerance:
            together = count
    measure = RemovableUnits(tolerance=tolerance)
    found = numbers_of(found_by(measure, model, data), layer)
    assert found["num_removable_each"] == sum(each < tolerance for each in lost)
    assert found["num_removable_together"] == together
    assert found["accuracy_lost_together"] < tolerance


@pytest.mark.parametrize("fine", [False, True])
def test_agreement_is_that_of_masking_and_running_again(fine, mlp):
    measure = RemovableUnits(fine=fine, repeats=2, steps=4)
    seen = seen_with(measure, mlp, DATA, seed=3)
    own = own_answers(mlp, DATA)
    curves = []
    for repeat in range(2):
        order = measure._order(seen, "0", repeat).tolist()
        assert sorted(order) == list(range(8))
        curves.append([])
        for count in range(9):
            kept = torch.ones(8, dtype=torch.bool)
            kept[order[:count]] = False
            model = masked_to(mlp, seen.units, "0", kept)
            curves[-1].append((judged(model, own)[1] / 60, judged(model, DATA)[1] / 60))
    found = [each for _, each in findings(seen, (measure,)) if each.layer == "0"]
    numbers = numbers_of(found, "0")
    for count in (0, 2, 4, 6, 8):
        both = [sum(curve[count][k] for curve in curves) / 2 for k in (0, 1)]
        assert numbers["agreement", count / 8] == pytest.approx(both[0])
        assert numbers["accuracy", count / 8] == pytest.approx(both[1])
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    reached = [prunability(shares, [c[0] for c in curve[::2]], 0.8) for curve in curves]
    assert numbers["prunability"] == pytest.approx(sum(reached) / 2)
    assert numbers["num_prunable"] == pytest.approx(8 * sum(reached) / 2)
    assert ("fine_prunability" in numbers) == fine
    for count in range(9) if fine else ():
        mean = sum(curve[count][0] for curve in curves) / 2
        assert numbers["fine_agreement", count / 8] == pytest.approx(mean)
    (point,) = (each for each in found if each.quantity == "prunability")
    assert (point.n, point.seed) == (2, 3)
    assert point.note == "judged on 60 examples of the data"


def test_duplicates_go_one_at_a_time_but_not_together():
    """Output 0 is the sum of units 0 and 1, both relu(x), against a constant 1/2; unit 2 is dead."""
    model = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0], [1.0], [1.0]]))
        model[0].bias.copy_(torch.tensor([0.0, 0.0, -9.0]))
        model[2].weight.copy_(torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
        model[2].bias.copy_(torch.tensor([0.0, 0.5]))
    data = [(torch.tensor([[1.0], [-1.0]] * 10).double(), torch.tensor([0, 1] * 10))]
    found = numbers_of(found_by(RemovableUnits(), model, data), "0")
    assert found["num_removable_each"] == 3
    assert found["num_removable_together"] == 2
    assert found["accuracy_lost_together"] == 0
    # In any order, two of three units leave the predictions as they are, or one does; without all, half are wrong.
    assert found["agreement", 1.0] == 0.5
    assert found["agreement", 0.0] == 1.0


def test_what_can_go_is_chosen_on_validation_and_its_cost_told_on_test():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
    part = image_part(40, seed=3)
    parts = Parts(image_part(30, seed=1), image_part(50, seed=2), contrary(part))
    measure = RemovableUnits(tolerance=0.05)
    seen = seen_with(measure, model, list(parts.train), parts=parts)
    found = [each for _, each in findings(seen, (measure,)) if each.layer == "1"]
    alone = found_by(measure, model, list(parts.validation))
    for quantity in ("num_removable_each", "num_removable_together", "accuracy_lost_together"):
        (here,) = (each for each in found if each.quantity == quantity)
        assert here.value == numbers_of(alone, "1")[quantity]
        assert (here.n, here.note) == (50, "judged on 50 examples of the validation part")
    (tested,) = (each for each in found if each.quantity == "test_accuracy_lost_together")
    assert tested.n == 40 and -1 <= tested.value <= 1


def test_all_layers_at_once(mlp):
    """Without any unit all predictions are one and the same: that of the last bias."""
    found = numbers_of(found_by(RemovableUnits(all_at_once=True), mlp, DATA), None)
    bias = int(mlp[4].bias.argmax())
    assert found["agreement", 0.0] == 1
    assert found["agreement", 1.0] == predictions(mlp, DATA).count(bias) / 60
    assert 0 < found["prunability"] <= 1
    assert not numbers_of(found_by(RemovableUnits(), mlp, DATA), None)


def test_networks_without_removable_layers_are_named():
    model = nn.Sequential(nn.Linear(6, 3)).double()
    found = found_by(RemovableUnits(all_at_once=True), model, DATA)
    assert [each.note for each in found if each.layer is None] == [
        "all layers at once: no layer has units that can be removed"
    ]


def test_removed_units_are_no_candidates(mlp):
    units = find_units(mlp, DATA[0][0][:2])
    kept = torch.tensor([True, False, True, True, False, True, True, True])
    smaller = masked_to(mlp, units, "0", kept)
    mask = Mask({"0": kept}, "units", units)
    found = numbers_of(found_by(RemovableUnits(tolerance=2.0), smaller, DATA, mask=mask), "0")
    assert found["num_removable_each"] == found["num_removable_together"] == 6
    assert ("agreement", 1 / 6) in found
    none = Mask({"0": torch.zeros(8, dtype=torch.bool)}, "units", units)
    notes = [each.note for each in found_by(RemovableUnits(), smaller, DATA, mask=none)]
    assert "none of its units is left" in notes


def test_no_tolerance_lets_only_harmful_units_go(mlp):
    found = numbers_of(found_by(RemovableUnits(tolerance=-1.0), mlp, DATA), "0")
    assert found["num_removable_each"] == found["num_removable_together"] == 0
    assert found["accuracy_lost_together"] == 0


def test_what_cannot_be_removed_is_named(mlp):
    notes = {each.layer: each.note for each in found_by(RemovableUnits(), mlp, DATA)}
    assert notes["4"] == "its units cannot be removed: they are the outputs of the network"


def test_what_takes_too_long_is_named_with_the_way_to_ask(mlp):
    found = found_by(RemovableUnits(most_macs=1e3, all_at_once=True), mlp, DATA)
    notes = {each.layer: each.note for each in found}
    assert (
        "more than 3e+02: to make them all the same, ask for RemovableUnits(most_macs=None)"
        in (notes["0"])
    )
    assert notes[None].startswith("all layers at once: its removals take about")
    assert numbers_of(found_by(RemovableUnits(most_macs=None), mlp, DATA), "0")


def test_other_networks_than_classifiers_are_named():
    model = nn.Sequential(nn.Conv1d(2, 4, 1), nn.ReLU(), nn.Conv1d(4, 3, 1)).double()
    found = found_by(RemovableUnits(), model, batches(5, (2, 6), 3))
    assert "these are of shape (2, 3, 6)" in next(each.note for each in found if each.layer == "0")


def test_without_labels_agreement_is_stated_alone(mlp):
    data = [(inputs, inputs) for inputs, _ in DATA]
    found = found_by(RemovableUnits(), mlp, data)
    numbers = numbers_of(found, "0")
    assert ("agreement", 1.0) in numbers and ("accuracy", 1.0) not in numbers
    notes = {each.quantity: each.note for each in found if each.layer == "0"}
    assert notes["num_removable_together"] == "the targets are not class labels"


def test_it_has_to_have_steps_and_repeats():
    with pytest.raises(InvalidArgument, match="`steps` is 0 and `repeats` is 3; both must be"):
        RemovableUnits(steps=0)


def test_prunability_on_straight_lines():
    assert prunability([0.0, 0.5, 1.0], [1.0, 0.9, 0.85], 0.8) == 1
    assert prunability([0.0, 0.5, 1.0], [1.0, 0.6, 0.2], 0.8) == pytest.approx(0.25)
    # The largest share counts, also behind a dip.
    shares, stays = [0.0, 0.25, 0.5, 1.0], [1.0, 0.6, 0.9, 0.5]
    assert prunability(shares, stays, 0.8) == pytest.approx(0.625)
    assert prunability([0.0, 1.0], [0.7, 0.5], 0.8) == 0


def test_intervals_of_few_repeats():
    """The quantiles are those of any table of Student's t."""
    table = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 9: 2.262, 30: 2.042}
    for freedom, value in table.items():
        assert quantile_of_student(freedom) == pytest.approx(value, abs=6e-4)
    assert mean_estimate([2.0]).lower is None
    same = mean_estimate([0.5, 0.5, 0.5])
    assert (same.lower, same.upper) == (0.5, 0.5)


def test_one_repeat_has_no_interval(mlp):
    found = found_by(RemovableUnits(repeats=1), mlp, DATA)
    assert all(each.lower is None and each.upper is None for each in found)


def test_batches_may_come_in_another_order_each_time(mlp):
    """A shuffled loader: every batch is compared with the network's own predictions on that batch."""
    inputs, targets = DATA[0]
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(inputs, targets), batch_size=7, shuffle=True
    )
    measure = RemovableUnits(fine=True)
    seen = dataclasses.replace(seen_with(measure, mlp, DATA), data=loader)
    found = numbers_of([each for _, each in findings(seen, (measure,))], "0")
    expected = numbers_of(found_by(measure, mlp, [(inputs, targets)]), "0")
    assert found == pytest.approx(expected)


def test_the_grid_is_at_whole_numbers_of_units():
    """Five units in six steps: as published, 0, 0, 1, 2, 3, 4 and 5 of them."""
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    found = found_by(RemovableUnits(), model, DATA)
    shares = [each.at for each in found if each.quantity == "agreement" and each.layer == "0"]
    assert shares == [0, 0.2, 0.4, 0.6, 0.8, 1]


def test_what_does_nothing_goes_before_what_does_good(mlp):
    """Dead units can always go together, also where the removal of others alone happens to help."""
    with torch.no_grad():
        mlp[0].weight[:5] = 0
        mlp[0].bias[:5] = -1
    found = numbers_of(found_by(RemovableUnits(tolerance=1e-9), mlp, DATA), "0")
    assert found["num_removable_together"] >= 5
