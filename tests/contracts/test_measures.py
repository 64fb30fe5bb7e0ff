"""The contract of every measure. A new one is checked here without another line; its truths stand in its own test."""

import copy
import dataclasses

import pytest
import torch
from torch import nn

from planted import batches, permuted, shaken
from surplus.base import Parts, decode, encode, label, members
from surplus.measures import Finding, Measure, findings, observed, table_of
from surplus.measures.needs import OF_DATA, OF_DRAWN, Need
from surplus.nets import Conv2
from surplus.units import find_units

KINDS = members(Measure)
ALL = [kind() for kind in KINDS.values()]


def seen_by(measure: Measure, model: nn.Module, shape: tuple[int, ...], start: int = 3, **more):
    """What a measure sees of a model that began elsewhere, on thirty examples of three classes."""
    data = batches(30, shape, 3)
    initial = {
        name: torch.randn(each.shape, generator=torch.Generator().manual_seed(start)).to(each)
        for name, each in model.state_dict().items()
        if each.is_floating_point()
    }
    units = find_units(model, data[0][0][:2])
    parts = Parts(data, data, data)
    return observed(model, units, (measure,), data, initial=initial, parts=parts, **more)


@pytest.fixture
def conv() -> nn.Module:
    return shaken(Conv2(width=0.05).build((1, 8, 8), 3, seed=0))


@pytest.mark.parametrize("measure", ALL, ids=label)
def test_is_recorded_whole(measure):
    assert decode(Measure, encode(measure)) == measure
    assert hash(measure) == hash(dataclasses.replace(measure))


@pytest.mark.parametrize("measure", ALL, ids=label)
@pytest.mark.parametrize("which", ["mlp", "conv"])
def test_changes_nothing(measure, which, mlp, conv):
    model, shape = (mlp, (6,)) if which == "mlp" else (conv, (1, 8, 8))
    model.train()
    before = copy.deepcopy(model.state_dict())
    stream = torch.get_rng_state()
    found = findings(seen_by(measure, model, shape), (measure,))
    assert found
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())
    assert torch.equal(stream, torch.get_rng_state())


@pytest.mark.parametrize("measure", ALL, ids=label)
def test_says_the_same_again(measure, mlp):
    first, second = (
        [finding for _, finding in findings(seen_by(measure, mlp, (6,)), (measure,))] for _ in "12"
    )
    assert first == second


@pytest.mark.parametrize("measure", ALL, ids=label)
def test_findings_are_finite_and_inside_their_intervals(measure, mlp):
    for _, finding in findings(seen_by(measure, mlp, (6,)), (measure,)):
        if finding.value is None:
            assert finding.note, finding
            continue
        assert isinstance(finding.value, int | float)
        assert abs(finding.value) < float("inf"), finding
        if finding.lower is not None and finding.upper is not None:
            assert finding.lower <= finding.value <= finding.upper, finding
            assert finding.n is not None, finding


@pytest.mark.parametrize("measure", [each for each in ALL if set(each.needs) & OF_DRAWN], ids=label)
def test_what_rests_on_drawn_examples_carries_the_seed(measure, mlp):
    found = [each for _, each in findings(seen_by(measure, mlp, (6,), seed=11), (measure,))]
    resting = [each for each in found if each.n is not None]
    assert resting and all(each.seed is not None for each in resting)


@pytest.mark.parametrize("measure", [each for each in ALL if set(each.needs) & OF_DATA], ids=label)
def test_without_data_it_says_so(measure, mlp):
    seen = dataclasses.replace(seen_by(measure, mlp, (6,)), data=None, parts=None)
    notes = [finding.note or "" for _, finding in findings(seen, (measure,))]
    assert any("no data were given" in note for note in notes)


@pytest.mark.parametrize(
    "measure", [each for each in ALL if "init_weights" in each.needs], ids=label
)
def test_without_a_start_it_says_so(measure, mlp):
    seen = dataclasses.replace(seen_by(measure, mlp, (6,)), initial=None)
    notes = [finding.note or "" for _, finding in findings(seen, (measure,))]
    assert any("initialisation" in note for note in notes)


def numbers(found: list[tuple[Measure, Finding]], layer: str) -> dict[tuple, list[float]]:
    """The numbers of a layer, as far as they do not name a unit, and the sorted ones of its units."""
    rows: dict[tuple, list[float]] = {}
    for _, each in found:
        if each.layer == layer and each.value is not None:
            key = (each.quantity, each.other, each.at, each.unit is None)
            rows.setdefault(key, []).append(float(each.value))
    return {key: sorted(values) for key, values in rows.items()}


ORDERED = {"curvature", "local-complexity", "low-rank-accuracy", "random-halves", "removable-units"}
"""Measures that draw something for each unit in turn, so that another order is another draw."""


@pytest.mark.parametrize("measure", [each for each in ALL if each.kind not in ORDERED], ids=label)
def test_the_order_of_the_units_does_not_matter(measure, mlp):
    order = torch.randperm(8, generator=torch.Generator().manual_seed(3))
    other = permuted(mlp, order)
    seen = seen_by(measure, mlp, (6,))
    start = dict(seen.initial)
    for name in ("0.weight", "0.bias"):
        start[name] = start[name][order]
    reader = next(name for name, each in start.items() if each.dim() == 2 and name != "0.weight")
    start[reader] = start[reader][:, order]
    theirs = dataclasses.replace(seen_by(measure, other, (6,)), initial=start)
    first = numbers(findings(seen, (measure,)), "0")
    second = numbers(findings(theirs, (measure,)), "0")
    assert first.keys() == second.keys()
    for key, values in first.items():
        assert second[key] == pytest.approx(values, rel=1e-6, abs=1e-9), key


@pytest.mark.parametrize("measure", ALL, ids=label)
def test_becomes_a_tidy_table(measure, conv):
    table = table_of(findings(seen_by(measure, conv, (1, 8, 8)), (measure,)), step=7)
    assert set(table["step"]) == {7} and set(table["measure"]) == {label(measure)}
    assert type(table).from_csv(table.to_csv()).columns == table.columns


@pytest.mark.parametrize(
    ("need", "look"),
    [
        ("activations", lambda seen: seen.comoments("0")),
        ("firing", lambda seen: seen.firing("0")),
        ("cross_layer", lambda seen: seen.features),
    ],
)
def test_what_is_not_declared_is_not_seen(need, look, mlp):
    seen = dataclasses.replace(seen_by(ALL[0], mlp, (6,)), needs=frozenset[Need]())
    with pytest.raises(ValueError, match=f'looks at "{need}" but does not declare it'):
        look(seen)
