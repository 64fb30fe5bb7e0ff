"""The intrinsic dimension: the search, the trainings behind it, and what is kept of them."""

from dataclasses import replace

import pytest

from running import context, finished, spec
from surplus.base import InvalidArgument
from surplus.methods import IntrinsicDimension, intrinsic_dimension, model_of, train
from surplus.methods.searching import Search
from surplus.nets import LeNet300100
from surplus.passes import mean_estimate, performance
from surplus.tasks import MNIST10k
from surplus.training import Spec, Training
from surplus.training.optimizers import SGD, Subspace
from surplus.training.projections import Fastfood, Sparse

SMALL = IntrinsicDimension(
    projections=(Fastfood(), Sparse()),
    num_replicas=2,
    first=2,
    factor=4.0,
    share=0.7,
    tolerance=0.4,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("trained"), num_steps=120)


@pytest.fixture(scope="module")
def measured(trained):
    run, where = trained
    return SMALL.apply(run, where)


@pytest.mark.parametrize("truth", [1, 2, 9, 10, 11, 100, 640, 1000])
@pytest.mark.parametrize("tolerance", [0.0, 0.1, 0.5])
def test_the_search_finds_the_least_that_is_enough(truth, tolerance):
    search, asked = Search(first=10, largest=1000, factor=2.0, tolerance=tolerance), []
    while (number := search.next()) is not None:
        assert number not in asked and 1 <= number <= 1000
        asked.append(number)
        search.tell(number, number >= truth)
    assert truth <= search.found <= max(truth + 1, truth / (1 - tolerance))
    assert len(asked) < 20


def test_a_search_that_never_succeeds_ends_at_the_largest():
    search, asked = Search(first=10, largest=55, factor=2.0, tolerance=0.1), []
    while (number := search.next()) is not None:
        asked.append(number)
        search.tell(number, False)
    assert asked == [10, 20, 40, 55] and search.found is None


def test_every_training_has_a_row_that_its_run_bears_out(trained, measured):
    run, where = trained
    curve = measured.tables["curve"]
    baseline = curve.where(projection="none")
    assert baseline["seed"] == [0, 1] and baseline["dimension"] == [None, None]
    model, _ = model_of(run)
    accuracy = performance(model, where.parts(spec().task).validation).accuracy
    assert baseline["validation_accuracy"][0] == accuracy
    point = curve.where(projection="sparse", seed=1)
    wanted = SMALL.spec(spec(num_steps=120), Sparse(), point["dimension"][-1])
    (again,) = train(wanted, (1,), where)
    assert again.made_by() == "intrinsic-dimension"
    assert (
        performance(model_of(again)[0], where.parts(spec().task).test).accuracy
        == (point["test_accuracy"][-1])
    )
    assert isinstance(wanted.training.optimizer, Subspace)


def test_the_dimension_is_the_least_that_was_enough(measured):
    values, dimensions = measured.values, measured.tables["dimensions"]
    assert values["num_parameters"] == 211
    baseline = measured.tables["curve"].where(projection="none")["validation_accuracy"]
    assert values["enough"] == pytest.approx(0.7 * sum(baseline) / 2)
    for row in dimensions.rows():
        tried = measured.tables["curve"].where(projection=row["projection"], seed=row["seed"])
        reached = [
            dimension
            for dimension, accuracy in zip(
                tried["dimension"], tried["validation_accuracy"], strict=True
            )
            if accuracy >= values["enough"]
        ]
        assert row["dimension"] == min(reached)
        assert row["compression"] == pytest.approx(211 / row["dimension"])
    for name in ("fastfood", "sparse"):
        found = values["found"][name]
        own = dimensions.where(projection=name)["dimension"]
        assert found["dimension"] == sum(own) / 2 and found["num_reached"] == 2
        assert found["interval"] == pytest.approx(
            list(mean_estimate([float(each) for each in own])[1:3])
        )


def test_interrupted_it_goes_on_where_it_stopped(measured, tmp_path, monkeypatch):
    run, where = finished(tmp_path, num_steps=120)
    original, waves = intrinsic_dimension.train_all, []

    def stopping(wanted, *rest):
        waves.append(len(wanted))
        if len(waves) == 3:
            raise KeyboardInterrupt
        return original(wanted, *rest)

    monkeypatch.setattr(intrinsic_dimension, "train_all", stopping)
    with pytest.raises(KeyboardInterrupt):
        SMALL.apply(run, where)
    monkeypatch.undo()
    before = {each.name for each in where.store.runs()}
    again = SMALL.apply(run, where)
    assert len(before) == 1 + 1 + 4  # the run, its sibling, one wave
    assert {name: str(table) for name, table in again.tables.items()} == {
        name: str(table) for name, table in measured.tables.items()
    }
    assert again.values == measured.values


def test_what_is_never_enough_has_no_dimension(trained):
    run, where = trained
    found = replace(SMALL, largest=2, share=1.0, projections=(Sparse(),)).apply(run, where)
    assert found.tables["dimensions"]["dimension"] == [None, None]
    assert found.values["found"]["sparse"]["dimension"] is None
    assert found.values["found"]["sparse"]["num_reached"] == 0


def test_what_is_memorised_is_judged_on_the_training_examples(trained):
    run, where = trained
    found = replace(SMALL, part="train", projections=(Sparse(),)).apply(run, where)
    curve = found.tables["curve"]
    model, _ = model_of(run)
    accuracy = performance(model, where.parts(spec().task).train).accuracy
    assert curve["train_accuracy"][0] == accuracy
    assert "validation_accuracy" not in curve.columns
    assert found.values["enough"] == pytest.approx(0.7 * sum(curve["train_accuracy"][:2]) / 2)
    for row in found.tables["dimensions"].rows():
        tried = curve.where(projection="sparse", seed=row["seed"])
        reached = [
            dimension
            for dimension, each in zip(tried["dimension"], tried["train_accuracy"], strict=True)
            if each >= found.values["enough"]
        ]
        assert row["dimension"] == min(reached)


def test_digits_take_fewer_directions_than_parameters(tmp_path):
    """A small LeNet on a part of the embedded images: far fewer directions than parameters are enough."""
    training = Training(optimizer=SGD(learning_rate=0.1, momentum=0.9), num_epochs=8)
    task = MNIST10k(subset=tuple(range(1024)))
    wanted = Spec(net=LeNet300100(width=0.1), task=task, training=training)
    where = context(tmp_path)
    (run,) = train(wanted, (0,), where)
    method = IntrinsicDimension(
        optimizer=SGD(learning_rate=1.0, momentum=0.9),
        num_replicas=2,
        first=64,
        factor=4.0,
        tolerance=0.5,
    )
    found = method.apply(run, where)
    curve = found.tables["curve"].where(projection="fastfood", seed=0)
    ordered = sorted(zip(curve["dimension"], curve["test_accuracy"], strict=True))
    assert ordered[0][1] < ordered[-1][1] - 0.2
    assert 64 < found.values["found"]["fastfood"]["dimension"] < found.values["num_parameters"] / 5


def test_settings_that_make_no_search_are_said(tmp_path):
    for settings, message in (
        ({"projections": ()}, "`projections` is empty; name at least one"),
        ({"share": 0.0}, r"`share` is 0.0; it must lie in \(0, 1\]"),
        ({"factor": 1.0}, "`factor` is 1.0; it must be greater than 1"),
        ({"tolerance": -1.0}, "`tolerance` is -1.0; it must not be negative"),
        ({"num_replicas": 0}, "`num_replicas` is 0; it must be at least 1"),
        ({"part": "test"}, "`part` is 'test'; it must be \"validation\" or"),
        ({"largest": 0}, "`largest` is 0; it must be at least 1"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            IntrinsicDimension(**settings)
    run, where = finished(tmp_path, optimizer="subspace")
    with pytest.raises(
        InvalidArgument, match="was trained in a random subspace itself; take a run"
    ):
        IntrinsicDimension().apply(run, where)
