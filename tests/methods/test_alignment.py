"""Alignment and order parameters of runs: planted angles, by-hand overlaps, and what is refused."""

import math

import pytest
import torch

from running import context, finished
from surplus.base import InvalidArgument
from surplus.methods import Alignment, OrderParametersOfRun, model_of, train
from surplus.methods.alignment import angles
from surplus.nets import Committee, XORDNet
from surplus.tasks import XORD, TeacherStudent
from surplus.training import Spec, Training
from surplus.training.moments import AtSteps
from surplus.training.optimizers import SGD, Adam

ONLINE = Training(
    optimizer=SGD(learning_rate=0.2 / 40),
    batch_size=1,
    num_epochs=1,
    snapshots=AtSteps(given=(100,)),
    probes=(),
)
STUDENT = Spec(
    net=Committee(width=3, learnt=True),
    task=TeacherStudent(dimension=40, num_train=200, num_test=20, noise=0.1),
    training=ONLINE,
)


def test_angles_of_known_vectors():
    found = angles(torch.tensor([[2.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0, 1.0], [-3.0, 0.0]]))
    assert found.flatten().tolist() == pytest.approx([90, 180, 45, 135])


def test_filters_are_compared_with_patterns(tmp_path):
    training = Training(
        optimizer=SGD(learning_rate=0.05), batch_size=2, num_steps=20, snapshots=AtSteps()
    )
    spec = Spec(net=XORDNet(width=2), task=XORD(), training=training)
    where = context(tmp_path)
    (run,) = train(spec, (0,), where)
    tables = Alignment().apply(run, where).tables
    assert set(tables["units"]["step"]) == {0, 20}
    rows = tables["units"].where(step=20)
    filters = model_of(run)[0].filters.weight.detach()[:, :, 0, 0]
    for w, row in zip(filters, rows.rows(), strict=True):
        degrees = [
            math.degrees(math.acos(float(w @ p / w.norm() / p.norm()))) for p in XORD().directions
        ]
        assert row["angle_degrees"] == pytest.approx(min(degrees), abs=0.05)
        assert row["direction"] == degrees.index(min(degrees))
        assert row["norm"] == pytest.approx(float(w.norm()))
    assert rows["fan_out_strongest"] == [1.0, 1.0, -1.0, -1.0]
    nearest = tables["directions"].where(step=20)
    for row in nearest.rows():
        assert row["angle_degrees"] <= row["grown_angle_degrees"]


def test_the_equations_begin_where_the_run_does(tmp_path):
    where = context(tmp_path)
    (run,) = train(STUDENT, (0,), where)
    tables = OrderParametersOfRun(until=7.0).apply(run, where).tables
    found, expected = (tables["errors"].where(source=each) for each in ("run", "equations"))
    assert found["time"] == [0, 2.5, 5]
    assert expected["time"] == [0, 2.5, 5, 7]
    assert found["generalisation_error"][0] == expected["generalisation_error"][0]
    assert found["generalisation_error"][-1] != expected["generalisation_error"][2]


def test_overlaps_are_cosines_of_the_runs_own_weights(tmp_path):
    where = context(tmp_path)
    (run,) = train(STUDENT, (0,), where)
    overlaps = OrderParametersOfRun().apply(run, where).tables["overlaps"].where(source="run")
    model, _ = model_of(run)
    expected = torch.nn.functional.cosine_similarity(
        model.hidden.weight.detach()[:, None], STUDENT.task.directions[None], dim=2
    )
    assert overlaps["overlap"] == pytest.approx(expected.flatten().tolist(), rel=1e-5)
    assert overlaps["fan_out"][::2] == pytest.approx(model.readout.weight[0].tolist())


def test_the_error_is_half_the_mean_square_on_fresh_inputs(tmp_path):
    where = context(tmp_path)
    (run,) = train(STUDENT, (0,), where)
    errors = OrderParametersOfRun().apply(run, where).tables["errors"].where(source="run")
    x = torch.randn(100_000, 40)
    wanted = torch.erf(x @ STUDENT.task.directions.T / math.sqrt(2)).sum(1)
    apart = model_of(run)[0](x).detach()[:, 0] - wanted
    assert errors["generalisation_error"][-1] == pytest.approx(
        float(apart.square().mean() / 2), rel=0.02
    )


def test_other_runs_are_refused(tmp_path):
    run, where = finished(tmp_path)
    with pytest.raises(InvalidArgument, match="is not made of known directions"):
        Alignment().apply(run, where)
    with pytest.raises(InvalidArgument, match="`committee` on `teacher-student`"):
        OrderParametersOfRun().apply(run, where)
    adam = Training(optimizer=Adam(), batch_size=1, num_epochs=1, probes=())
    (run,) = train(Spec(net=STUDENT.net, task=STUDENT.task, training=adam), (0,), where)
    with pytest.raises(InvalidArgument, match="one fresh example at a time; this is adam"):
        OrderParametersOfRun().apply(run, where)


def test_a_task_without_labels_records_no_accuracy(tmp_path):
    where = context(tmp_path)
    training = Training(optimizer=SGD(learning_rate=0.01), batch_size=10, num_epochs=1)
    (run,) = train(Spec(net=STUDENT.net, task=STUDENT.task, training=training), (0,), where)
    values = run.series("evaluation")[-1].values
    assert values["test_accuracy"] is None
    assert values["test_loss"] > 0
