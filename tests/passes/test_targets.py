"""Asking for a size."""

import pytest
import torch
from torch import nn

import surplus as sp
from surplus.base import InvalidArgument
from surplus.edits import cut, plan
from surplus.masks import keep
from surplus.passes import keep_to, num_macs, num_parameters
from surplus.scores import Magnitude, score
from surplus.units import find_units
from zoo import build

NAMES = ("resnet18", "vgg_bn", "vit", "mobilenet_v2")


def scored(name):
    model, example = build(name)
    units = find_units(model, example)
    return model, example, score(model, units, Magnitude())


@pytest.mark.parametrize("quantity", ["parameters", "macs"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_reached_is_what_was_asked_and_less_is_never_more(name, quantity):
    model, example, scores = scored(name)
    count = {"parameters": num_parameters, "macs": lambda m: num_macs(m, example)}[quantity]
    before = None
    for fraction in (0.9, 0.6, 0.4):
        mask, reached = keep_to(model, scores, quantity, fraction)
        smaller, _ = cut(model, mask)
        assert count(smaller) / count(model) == reached.reached <= fraction
        coarse = name == "vit"  # few units, of which one is a head in every layer
        assert coarse or reached.reached > fraction - 0.15
        assert before is None or mask <= before
        before = mask


def test_a_latency_is_measured():
    model, _, scores = scored("vgg_bn")
    mask, reached = keep_to(model, scores, "latency", 0.95)
    assert reached.quantity == "latency" and 0 < reached.unit_sparsity == mask.sparsity


def test_floors_and_multiples_are_kept():
    _, _, scores = scored("vgg_bn")
    for sparsity in (0.3, 0.7, 0.9):
        mask = keep(scores, sparsity, "model", floor=3)
        assert all(int(kept.sum()) >= 3 for kept in mask.kept.values())
        mask = keep(scores, sparsity, "model", multiple=4)
        counts = {name: (int(kept.sum()), len(kept)) for name, kept in mask.kept.items()}
        assert all(count % 4 == 0 or count == size for count, size in counts.values())
    with pytest.raises(InvalidArgument, match="`floor` is 0 and `multiple` is 1; both must be at"):
        keep(scores, 0.5, floor=0)


def test_blocks_lose_as_many_each():
    model, _, scores = scored("group_norm")
    units = scores.units
    mask = keep(scores, 0.5, "model")
    constrained = [group for group in units.removable() if group.constraints]
    assert constrained
    for group in constrained:
        for constraint in group.constraints:
            left = mask.kept[group.name][constraint.blocks].sum(1)
            assert int(left.min()) == int(left.max())
    cut(model, mask)
    uneven = keep(scores, 0.0)
    uneven.kept[constrained[0].name][0] = False
    with pytest.raises(InvalidArgument, match="blocks of .*: keep as many of each, as `keep` does"):
        cut(model, uneven)


@pytest.mark.message
@pytest.mark.parametrize(
    ("quantity", "fraction", "message"),
    [
        ("macs", 0.0, r"`fraction` is 0; it must lie in \(0, 1\]"),
        ("macs", 50, "For 50 percent pass 0.5."),
        ("macs", -0.3, "`fraction` is -0.3"),
        ("macs", 1e-9, "with everything gone that can go .* of the macs is left"),
        ("bytes", 0.5, '`quantity` is \'bytes\'; it must be "parameters", "macs" or "latency"'),
    ],
)
def test_what_cannot_be_asked_is_refused(quantity, fraction, message):
    model, _, scores = scored("vgg_bn")
    with pytest.raises(InvalidArgument, match=message):
        keep_to(model, scores, quantity, fraction)


def test_the_plan_says_what_goes_and_what_stays():
    model, example = build("vit")
    units = sp.find_units(model, example)
    table = plan(sp.keep(sp.score(model, units, sp.scores.Magnitude()), 0.5))
    assert table["kept"] == [k - r for k, r in zip(table["units"], table["removed"], strict=True)]
    assert any(str(note).startswith("statistics over the units kept") for note in table["note"])
    assert any(str(note).startswith("stays: they are the outputs") for note in table["note"])
    assert all(not torch.is_tensor(cell) for cell in table["note"])


@pytest.mark.parametrize(
    "choose",
    [
        lambda model, scores: keep(scores, 0.5),
        lambda model, scores: keep(scores, 0.5, within="model"),
        lambda model, scores: keep_to(model, scores, "macs", 0.5),
    ],
)
@pytest.mark.parametrize(
    ("num_layers", "message"),
    [
        (1, r"nothing can be removed. `0` stays: they are the outputs of the network\.$"),
        (5, r"`2` stays: .*\. So do 2 more: `print\(units\)` lists them\.$"),
    ],
)
def test_a_model_of_which_nothing_can_go_is_refused_with_the_reasons(num_layers, message, choose):
    class Beside(nn.ModuleList):
        def forward(self, x):
            return [layer(x) for layer in self]

    model = Beside(nn.Linear(4, 3) for _ in range(num_layers))
    scores = score(model, find_units(model, torch.zeros(2, 4)), Magnitude())
    with pytest.raises(InvalidArgument, match=message):
        choose(model, scores)
