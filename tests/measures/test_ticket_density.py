import math
from itertools import combinations

import pytest
import torch
from torch import nn

from asking import asked, dense, notes, of_layer, randn, seen_of
from surplus.masks import Mask
from surplus.measures import TicketDensity

MEASURE = TicketDensity()


def seen(kept):
    size, fan_in = kept.shape
    return seen_of(
        MEASURE,
        dense(randn(size, fan_in), randn(2, size)),
        mask=Mask({"0.weight": kept}, "weights"),
    )


def drawn(size, fan_in, num, seed=0):
    order = torch.randperm(size * fan_in, generator=torch.Generator().manual_seed(seed))
    return (order < num).view(size, fan_in)


def test_it_is_that_of_loops():
    kept = drawn(5, 4, 7)
    r = [sum(row) for row in kept.tolist()]
    variance = sum((each - 7 / 5) ** 2 for each in r) / 5
    p = 7 / 20
    pairs = sum(each * (each - 1) for each in r)
    expected = {
        "density": p,
        "least_unit_density": min(r) / 4,
        "greatest_unit_density": max(r) / 4,
        "num_empty_units": r.count(0),
        "random_num_empty_units": 5 * math.comb(16, 7) / math.comb(20, 7),
        "gini": sum(abs(a - b) for a in r for b in r) / (2 * 5 * 7),
        "effective_num_units": 49 / sum(each**2 for each in r),
        "dispersion_index": variance / (4 * p * (1 - p) * 16 / 19),
        "lift": pairs / (3 * 7) / (6 / 19),
    }
    assert of_layer(MEASURE, seen(kept)) == pytest.approx(expected)
    found = asked(MEASURE, seen(kept))
    units = [found["unit_density", "0", None, unit, None] for unit in range(5)]
    assert units == pytest.approx([each / 4 for each in r])


def test_over_all_masks_of_a_size_chance_is_what_is_said_of_it():
    found = []
    for chosen in combinations(range(8), 3):
        kept = torch.zeros(8, dtype=torch.bool)
        kept[list(chosen)] = True
        found.append(of_layer(MEASURE, seen(kept.view(4, 2))))
    assert len(found) == 56
    for quantity, value in (("dispersion_index", 1.0), ("lift", 1.0)):
        assert sum(each[quantity] for each in found) / 56 == pytest.approx(value), quantity
    empty = sum(each["num_empty_units"] for each in found) / 56
    assert empty == pytest.approx(found[0]["random_num_empty_units"])


def test_drawn_weights_and_whole_units():
    random = of_layer(MEASURE, seen(drawn(100, 80, 800)))
    assert 0.5 < random["dispersion_index"] < 1.6
    assert random["lift"] == pytest.approx(1, abs=0.1)
    whole = torch.zeros(100, 80, dtype=torch.bool)
    whole[3:13] = True
    found = of_layer(MEASURE, seen(whole))
    assert found["dispersion_index"] > 20
    assert found["lift"] == pytest.approx(10, rel=0.01)
    assert found["effective_num_units"] == pytest.approx(10)
    assert found["num_empty_units"] == 90
    assert found["gini"] == pytest.approx(0.9)


def test_masks_that_leave_nothing_to_vary():
    none = of_layer(MEASURE, seen(torch.zeros(3, 4, dtype=torch.bool)))
    assert none["gini"] is None and none["num_empty_units"] == 3
    assert none["random_num_empty_units"] == pytest.approx(3)
    full = of_layer(MEASURE, seen(torch.ones(3, 4, dtype=torch.bool)))
    assert full["dispersion_index"] is None
    assert (full["gini"], full["lift"], full["random_num_empty_units"]) == (0, 1, 0)
    one = of_layer(MEASURE, seen(drawn(3, 4, 1)))
    assert one["lift"] is None


def test_a_filter_has_all_its_weights():
    conv = nn.Conv2d(2, 3, 2).double()
    kept = drawn(3, 8, 11).view(3, 2, 2, 2)
    mask = Mask({"0.weight": kept}, "weights")
    found = asked(MEASURE, seen_of(MEASURE, nn.Sequential(conv), (2, 4, 4), mask=mask))
    for unit in range(3):
        share = int(kept[unit].sum()) / 8
        assert found["unit_density", "0", None, unit, None] == share


def test_without_such_a_mask_it_says_so():
    reason = "it looks at which weights a mask keeps, and there is no mask over weights"
    model = dense(randn(4, 3), randn(2, 4))
    assert notes(MEASURE, seen_of(MEASURE, model)) == {None: reason}
    over_units = Mask({"0": torch.ones(4, dtype=torch.bool)}, "units")
    assert notes(MEASURE, seen_of(MEASURE, model, mask=over_units)) == {None: reason}
    assert notes(MEASURE, seen(drawn(4, 3, 5))) == {"2": "the mask does not speak of its weights"}
