"""`measure`: on models and on runs, at one snapshot or all of them."""

import dataclasses

import pytest
import torch
from torch import nn

import running
import surplus as sp
from planted import batches
from surplus.base import InvalidArgument, Parts, UnknownName
from surplus.masks import Mask
from surplus.measures import DeadUnits, FramePotential, SubspaceAngles
from surplus.methods import Context, train_all
from surplus.methods.measuring import Measuring
from surplus.store import Store

BY = (FramePotential(), DeadUnits())


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A finished run, and where it lies."""
    return running.finished(tmp_path_factory.mktemp("measured"))


@pytest.fixture
def context(kept):
    return kept[1]


@pytest.fixture
def run(kept):
    return kept[0]


def test_a_model_is_measured_on_its_data(mlp):
    data = batches(30, (6,), 3)
    table = sp.measure(mlp, data, by=BY)
    assert table.columns.keys() >= {"measure", "quantity", "layer", "value", "n", "seed", "note"}
    assert set(table["layer"]) == {"0", "2", "4"} or len(set(table["layer"])) > 1
    size = table.where(layer="0", quantity="num_units")["value"]
    assert size == [8]


def test_batches_that_can_be_read_once_serve_several_looks(mlp):
    kept = batches(30, (6,), 3)
    assert sp.measure(mlp, iter(kept), by=BY).columns == sp.measure(mlp, kept, by=BY).columns


def test_a_sample_is_that_of_its_seed(mlp):
    data = batches(30, (6,), 3)
    some = sp.measure(mlp, data, by=DeadUnits(), num_examples=7)
    assert set(some.where(quantity="num_dead")["n"]) == {7}
    assert some.columns == sp.measure(mlp, data, by=DeadUnits(), num_examples=7).columns


def test_a_unit_that_a_mask_removed_is_not_counted(mlp):
    data = batches(30, (6,), 3)
    units = sp.find_units(mlp, data[0][0][:2])
    mask = Mask({"0": torch.tensor([False] * 3 + [True] * 5)}, "units", units)
    table = sp.measure(sp.enforce(mlp, mask), data, by=DeadUnits(), mask=mask)
    assert table.where(layer="0", quantity="num_units")["value"] == [5]
    assert table.where(layer="0", quantity="num_dead")["value"] == [0]


def test_all_parts_may_be_given(mlp):
    data = batches(30, (6,), 3)
    parts = Parts(data, data[:1], data[1:])
    train, test = (
        sp.measure(mlp, parts, by=DeadUnits(), part=part).where(quantity="num_dead")["n"][0]
        for part in ("train", "test")
    )
    assert train > test > 0


def test_a_run_is_measured_at_its_end_and_at_all_times(run, context):
    last = sp.measure(run, by=BY, context=context)
    steps = sorted(run.snapshots())
    assert set(last["step"]) == {steps[-1]}
    all_of_them = sp.measure(run, by=BY, at="all", context=context)
    assert sorted(set(all_of_them["step"])) == steps
    assert all_of_them.where(step=steps[-1]).columns == last.columns
    first = sp.measure(run, by=BY, at=steps[0], context=context)
    assert all_of_them.where(step=steps[0]).columns == first.columns


def test_what_was_found_is_kept_beside_the_run(run, context, monkeypatch):
    first = sp.measure(run, by=BY, context=context)
    monkeypatch.setattr(Measuring, "compute", lambda *_: pytest.fail("computed again"))
    assert sp.measure(run, by=BY, context=context).columns == first.columns
    assert run.problems() == []


def test_a_run_agrees_with_its_model(run, context):
    model, _ = sp.model_of(run)
    task = sp.spec_of(run).task
    parts = context.parts(task)
    ours = sp.measure(run, by=BY, context=context)
    theirs = sp.measure(model, parts, by=BY)
    assert {name: ours[name] for name in theirs.columns} == theirs.columns


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_examples": 0}, "`num_examples` is 0; it must be at least 1, or None for all"),
        ({"by": (FramePotential(), FramePotential())}, "`by` names a measure twice"),
        ({"by": ("dead-units",)}, "`by` holds 'dead-units'; it takes measures, such as"),
        ({"by": FramePotential}, "`by` holds <class .*FramePotential'>; it takes measures"),
        ({"by": batches(3, (6,), 3)}, "`by` holds a tuple; it takes measures"),
        (
            {"data": batches(3, (6,), 3)[0]},
            "`data` yields a tensor of shape .* must yield .inputs, targets. pairs",
        ),
        ({"data": None}, "has to be called once to find its units: pass `data=`, or an `example=`"),
        ({"at": 3}, "`at` does not go with this: it is for runs"),
        ({"layers": ["nothing"]}, "nothing"),
    ],
)
@pytest.mark.message
def test_what_does_not_fit_is_said(arguments, message, mlp):
    given = {"by": BY, "data": batches(30, (6,), 3), **arguments}
    with pytest.raises((InvalidArgument, UnknownName), match=message):
        sp.measure(mlp, **given)


def test_what_does_not_fit_a_run_is_said(run, context):
    with pytest.raises(InvalidArgument, match="`data` does not go with this: a run has its own"):
        sp.measure(run, batches(3, (16,), 3), by=BY, context=context)
    with pytest.raises(UnknownName, match="has no snapshot at step 3"):
        sp.measure(run, by=BY, at=3, context=context)
    with pytest.raises(
        InvalidArgument, match="`other` is a Linear; a model is compared with a model"
    ):
        sp.measure(run, by=BY, other=nn.Linear(3, 2), context=context)


def test_a_measure_of_ones_own_is_one_class(mlp):
    from collections.abc import Iterator
    from typing import ClassVar

    from surplus.base import register
    from surplus.measures import Finding, Measure, Observed, per_layer

    @register("mean-output-of-a-test")
    @dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
    class MeanOutput(Measure):
        needs: ClassVar = ("activations",)

        def measure(self, seen: Observed) -> Iterator[Finding]:
            return per_layer(
                seen.names,
                lambda name: [
                    Finding(quantity="mean_output", value=float(seen.comoments(name).mean.mean()))
                ],
            )

    data = batches(30, (6,), 3)
    try:
        found = sp.measure(mlp, data, by=MeanOutput()).where(layer="0")["value"]
    finally:
        del Measure._members["mean-output-of-a-test"]
    with torch.no_grad():
        outputs = torch.cat([mlp[:2](inputs) for inputs, _ in data])
    assert found == [pytest.approx(float(outputs.mean()), rel=1e-12)]


def test_a_fingerprint_alone_means_the_replica_of_the_same_seed(tmp_path):
    made = Context(store=Store(tmp_path), progress=False)
    spec = running.spec("mlp", num_steps=2)
    first, second = train_all([(spec, 0), (spec, 1)], made)
    by = (SubspaceAngles(rank=2),)

    def found(run, against):
        table = Measuring(by=by, against=against).compute(run, made).tables["findings"]
        return table.where(quantity="greatest_angle_between_runs_degrees")["value"][0]

    for run in (first, second):
        assert found(run, first.fingerprint) == pytest.approx(0, abs=1e-5)
    assert found(first, second.name) == found(second, first.name) > 1
