"""Dependence: its tables on planted layers, and their laws."""

import dataclasses

import pytest
import torch
from torch import nn

from planted import Stripes
from running import context, finished, spec
from surplus.base import InvalidArgument, UnknownName
from surplus.masks import Mask
from surplus.methods import Dependence, subject_of_run, train
from surplus.methods.subject import Subject
from surplus.passes import Removals
from surplus.training.interventions import Pruning
from surplus.units import find_units

METHOD = Dependence(num_examples=40, num_draws=3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("depended"), num_steps=48)


@pytest.fixture(scope="module")
def tables(trained):
    run, where = trained
    return METHOD.apply(run, where).tables


def test_tables_are_complete(tables):
    assert set(tables) == {"units", "distribution", "interactions", "cosines", "strongest"}
    assert len(tables["units"]) == 8 + 6
    assert tables["distribution"]["layer"] == tables["interactions"]["layer"] == ["fc1", "fc2"]
    assert tables["interactions"]["num_pairs"] == [28, 15]
    assert len(tables["strongest"]) == 20 + 15
    assert tables["units"].units["loss_change"] == "nats"
    for layer, num in (("fc1", 28), ("fc2", 15)):
        assert sum(tables["cosines"].where(layer=layer)["num_pairs"]) == num


def test_sums_agree(tables):
    for number, layer in enumerate(("fc1", "fc2")):
        units = tables["units"].where(layer=layer)
        spread = {name: cells[number] for name, cells in tables["distribution"].columns.items()}
        assert spread["sum"] == pytest.approx(sum(units["loss_change"]))
        assert spread["largest"] == max(units["loss_change"])
        assert spread["whole"] == pytest.approx(sum(units["shapley_loss"]))
        assert spread["whole_accuracy"] == pytest.approx(sum(units["shapley_accuracy"]))
        bins = tables["cosines"].where(layer=layer)
        summed = sum(a * b for a, b in zip(bins["mean"], bins["num_pairs"], strict=True))
        assert tables["interactions"]["sum"][number] == pytest.approx(summed, abs=1e-9)


def test_a_unit_stands_there_with_its_interval_over_the_examples_asked_for(trained, tables):
    run, where = trained
    subject = subject_of_run(run, where)
    whole = Dependence(num_examples=None, num_draws=2).tables(subject)
    singles = Removals(subject.model, subject.units, "fc2", subject.parts.validation).singles()
    changes = whole["units"].where(layer="fc2")["loss_change"]
    assert changes == pytest.approx((singles.loss - singles.full_loss).tolist(), abs=1e-7)
    assert whole["distribution"]["num_examples"] == [60, 60]
    assert tables["distribution"]["num_examples"] == [40, 40]
    for low, middle, high in zip(
        *(tables["units"][name] for name in ("loss_lower", "loss_change", "loss_upper")),
        strict=True,
    ):
        assert low <= middle <= high


def planted() -> Subject:
    """Return a classifier of stripes by six units: 0 and 1 are halves of one, 5 is silent."""
    parts = Stripes().load()
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 3))
    model.requires_grad_(False)
    stripes = torch.zeros(4, 16)
    for stripe in range(3):
        stripes[stripe].view(4, 4)[:, stripe] = 0.25
    model[1].weight.copy_(stripes[[0, 0, 1, 2, 3, 3]])
    model[1].weight[4] = 0.1 * stripes[1]
    model[1].bias.zero_()
    model[3].weight.zero_()
    for unit, (stripe, weight) in enumerate(((0, 1.5), (0, 1.5), (1, 3.0), (2, 3.0), (1, 0.1))):
        model[3].weight[stripe, unit] = weight
    model[3].bias.zero_()
    return Subject(model=model, units=find_units(model, torch.zeros(1, 1, 4, 4)), parts=parts)


def test_halves_of_one_unit_are_the_strongest_pair_and_a_silent_unit_is_worth_nothing():
    tables = Dependence(num_examples=None, num_draws=8).tables(planted())
    first = next(tables["strongest"].rows())
    assert {first["first"], first["second"]} == {0, 1}
    assert first["loss_interaction"] > 0 and first["incoming_cosine"] == pytest.approx(1)
    assert first["output_correlation"] == pytest.approx(1)
    units = list(tables["units"].rows())
    silent = units[5]
    for name in ("loss_change", "loss_lower", "shapley_loss", "accuracy_change", "norm"):
        assert silent[name] == 0.0
    assert units[2]["loss_change"] > units[0]["loss_change"] > abs(units[4]["loss_change"])
    assert units[0]["shapley_loss"] == pytest.approx(units[1]["shapley_loss"], rel=0.4)
    assert tables["distribution"]["sum"][0] < tables["distribution"]["whole"][0]


def test_units_that_are_gone_are_left_out(tmp_path):
    wanted = dataclasses.replace(spec(), interventions=(Pruning(sparsity=0.5, layers=("fc1",)),))
    where = context(tmp_path)
    (run,) = train(wanted, (0,), where)
    tables = METHOD.apply(run, where).tables
    assert tables["distribution"]["num_units"] == [4, 6]
    gone = (~subject_of_run(run, where).mask.kept["fc1"]).nonzero()[:, 0].tolist()
    assert not set(tables["units"].where(layer="fc1")["unit"]) & set(gone)


def test_a_layer_of_one_unit_has_no_pairs():
    subject = planted()
    mask = Mask({"1": torch.arange(6) == 2}, "units", subject.units)
    tables = METHOD.tables(dataclasses.replace(subject, mask=mask))
    assert set(tables) == {"units", "distribution"}
    assert tables["units"]["unit"] == [2]
    whole = tables["distribution"]["whole"][0]
    assert tables["units"]["loss_change"][0] == pytest.approx(whole, rel=1e-5)


def test_what_cannot_be_done_is_said(trained):
    run, where = trained
    with pytest.raises(InvalidArgument, match="`num_bins` is 0"):
        Dependence(num_bins=0)
    with pytest.raises(UnknownName, match="fc9"):
        dataclasses.replace(METHOD, layers=("fc9",)).apply(run, where)
