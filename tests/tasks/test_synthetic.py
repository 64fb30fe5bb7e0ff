"""Tasks that are made: the same draw every time, and the known truth in it."""

import pytest
import torch

from surplus.base import InvalidArgument
from surplus.nets import Committee
from surplus.passes import performance
from surplus.tasks import XORD, ReLUTeacher, TeacherStudent, XORCluster
from surplus.tasks.losses import SquaredError
from surplus.tasks.xord import PATTERNS

TASKS = {
    "xord": XORD(),
    "xor-cluster": XORCluster(dimension=40, num_train=50, num_test=30),
    "teacher-student": TeacherStudent(dimension=20, num_train=50, num_test=30, noise=0.1),
    "relu-teacher": ReLUTeacher(dimension=12, num_outputs=3, num_train=50, num_test=30),
}


@pytest.mark.parametrize("name", TASKS)
def test_parts_are_drawn_again_alike_and_fit_the_shapes(name):
    task = TASKS[name]
    for one, other in zip(task.load(), task.load(), strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)
        inputs, targets = one.batch(torch.tensor([[0, 1, 0]]))
        assert inputs.shape == (1, 3, *task.input_shape)
        assert torch.equal(inputs[0, 1], one.inputs[1])
        assert torch.equal(targets[0, 2], one.targets[0])
        assert sum(len(x) for x, _ in one) == len(one)
        assert len(one.take(torch.tensor([1]))) == 1


@pytest.mark.parametrize("name", TASKS)
def test_directions_are_as_long_as_a_weight_vector(name):
    task = TASKS[name]
    features = 2 if name == "xord" else task.input_shape[0]
    assert task.directions.shape[1] == features
    assert torch.equal(task.directions, task.directions)


def test_xord_tests_every_set_of_patterns_once():
    parts = XORD(num_positions=5).load()
    assert parts.train.targets.tolist() == [1, 0]
    seen = {}
    for x, y in zip(parts.test.inputs, parts.test.targets, strict=True):
        shown = frozenset(PATTERNS.index(tuple(bits.tolist())) for bits in x[:, 0].T)
        seen[shown] = int(y)
    assert len(seen) == len(parts.test) == 15
    assert all(label == bool(shown & {0, 2}) for shown, label in seen.items())


def test_clusters_lie_around_their_centres_and_labels_are_flipped_exactly():
    task = XORCluster(dimension=100, signal=30.0, num_train=200, flipped=0.1)
    train, _, test = task.load()
    assert torch.allclose(
        task.directions @ task.directions.T / 900,
        torch.tensor([[1.0, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 1, -1], [0, 0, -1, 1]]),
        atol=1e-5,
    )
    for part, flipped in ((train, 20), (test, 0)):
        nearest = (part.inputs @ task.directions.T).argmax(1)
        wrong = (nearest < 2).long() != part.targets
        assert torch.equal(wrong, part.changed)
        assert int(wrong.sum()) == flipped


def test_the_teacher_is_a_student_without_error():
    task = TeacherStudent(dimension=30, num_units=3, num_train=500, num_test=500, noise=0.5)
    model = Committee(width=3).build((30,), 1, seed=0)
    with torch.no_grad():
        model.hidden.weight.copy_(task.directions)
    train, _, test = task.load()
    assert performance(model, test, SquaredError()).loss < 1e-12
    assert performance(model, train, SquaredError()).loss == pytest.approx(0.125, rel=0.2)


def test_a_teacher_of_rectifiers_decays():
    task = ReLUTeacher(decay=2.0)
    assert task.fan_out.norm(dim=1).tolist() == pytest.approx([j**-2.0 for j in range(1, 11)])
    assert torch.allclose(task.directions.norm(dim=1), torch.ones(10))
    assert task.load().train.targets.shape == (10_000, 50)


@pytest.mark.message
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: XORD(sets=((4,),)), "it holds sets of the patterns 0 to 3"),
        (lambda: XORD(num_positions=3), "room for all four patterns"),
        (lambda: XORCluster(flipped=2.0), "`flipped` is 2"),
        (lambda: XORCluster(dimension=1), "at least 2"),
        (lambda: TeacherStudent(noise=-1.0), "`noise` is -1"),
        (lambda: TeacherStudent(num_units=0), "`num_units` is 0"),
    ],
)
def test_what_cannot_be_made_is_said(make, message):
    with pytest.raises(InvalidArgument, match=message):
        make()
