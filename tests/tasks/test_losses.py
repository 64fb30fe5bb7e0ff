"""Losses: hand-made numbers, both layouts, and what is refused; and what is held fixed in a fleet."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from planted import image_part
from surplus.base import InvalidArgument, Loss, Parts, members
from surplus.passes import Removals, performance
from surplus.scores import score
from surplus.scores.taylor import Taylor
from surplus.tasks.losses import CrossEntropy, Hinge, SquaredError
from surplus.training import Training
from surplus.training.engine import make_engine
from surplus.training.fleet import Fleet
from surplus.training.modules import Modules
from surplus.training.optimizers import SGD
from surplus.units import find_units

CPU = torch.device("cpu")
TRAINING = Training(num_steps=3, batch_size=8, optimizer=SGD(learning_rate=0.1))


def wanted(loss: Loss, outputs: torch.Tensor) -> torch.Tensor:
    """Return targets of the kind that a loss compares with."""
    if isinstance(loss, SquaredError):
        return torch.randn(len(outputs), outputs.shape[1])
    return torch.arange(len(outputs)) % outputs.shape[1]


@pytest.mark.parametrize("name", sorted(members(Loss)))
def test_both_layouts_and_all_reductions_agree(name):
    loss = members(Loss)[name]()
    outputs = torch.randn(6, 2)
    targets = wanted(loss, outputs)
    each = loss.of(outputs, targets, "none")
    assert each.shape == (6,)
    torch.testing.assert_close(loss.of(outputs, targets), each.mean())
    torch.testing.assert_close(loss.of(outputs, targets, "sum"), each.sum())
    stacked = loss.of(outputs.T.expand(3, 2, 6), targets.expand(3, *targets.shape), "none")
    torch.testing.assert_close(stacked, each.expand(3, 6))


def test_cross_entropy_keeps_the_bits_of_torch():
    outputs, labels = torch.randn(37, 5), torch.randint(5, (37,))
    for reduction in ("none", "mean", "sum"):
        theirs = F.cross_entropy(outputs, labels, reduction=reduction)
        assert torch.equal(CrossEntropy().of(outputs, labels, reduction), theirs)


@pytest.mark.parametrize("N", [-3.0, -0.5, 0.5, 4.0, 9.0])
def test_the_asymmetric_hinge_on_two_logits(N):
    """max(gamma - N, 0) on positives and max(1 + N, 0) on negatives."""
    outputs = torch.tensor([[0.0, N], [0.0, N]])
    found = Hinge(margins=(1.0, 8.0)).of(outputs, torch.tensor([1, 0]), "none")
    assert found.tolist() == [max(8 - N, 0), max(1 + N, 0)]


def test_the_hinge_of_many_classes_looks_at_the_best_other():
    outputs = torch.tensor([[1.0, 3.0, 2.5]])
    loss = Hinge(margins=(1.0, 2.0, 3.0))
    assert [float(loss.of(outputs, torch.tensor([y]))) for y in range(3)] == [3.0, 1.5, 3.5]


def test_one_output_needs_no_axis_in_the_targets():
    outputs = torch.tensor([[1.0], [4.0]])
    assert float(SquaredError().of(outputs, torch.tensor([2.0, 1.0]))) == 2.5
    assert float(SquaredError().of(outputs, torch.tensor([[2.0], [1.0]]))) == 2.5


@pytest.mark.message
@pytest.mark.parametrize(
    ("loss", "targets", "message"),
    [
        (CrossEntropy(), torch.zeros(4, 2), "compares with labels.*SquaredError"),
        (
            SquaredError(),
            torch.zeros(4, dtype=torch.int64),
            "as many numbers as the network returns",
        ),
        (SquaredError(), torch.zeros(4), "as many numbers as the network returns"),
        (
            Hinge(margins=(1.0, 1.0, 1.0)),
            torch.zeros(4, dtype=torch.int64),
            "`margins` has 3 entries",
        ),
    ],
    ids=str,
)
def test_other_targets_are_refused(loss, targets, message):
    with pytest.raises(InvalidArgument, match=message):
        loss.of(torch.zeros(4, 2), targets)


@pytest.mark.message
@pytest.mark.parametrize("margins", [(1.0,), (1.0, 0.0)])
def test_margins_that_are_none_are_refused(margins):
    with pytest.raises(InvalidArgument, match="a positive number for each of at least two classes"):
        Hinge(margins=margins)


def regression(num: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(torch.randn(num, 4), torch.randn(num))]


def dense() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1))


def test_without_labels_there_is_no_accuracy():
    found = performance(dense(), regression(6), SquaredError())
    assert found.num_correct is None
    assert found.accuracy is None
    with pytest.raises(InvalidArgument, match="This judges accuracy"):
        found.hits()


@pytest.mark.message
def test_what_judges_by_labels_refuses_numbers():
    model, data = dense(), regression(6)
    units = find_units(model, data[0][0])
    with pytest.raises(InvalidArgument, match="This judges by labels"):
        score(model, units, Taylor(), data)
    with pytest.raises(InvalidArgument, match="This judges by labels"):
        Removals(model, units, "0", data).singles()


@pytest.mark.parametrize("engine", [Fleet, Modules])
@pytest.mark.parametrize("name", sorted(members(Loss)))
def test_engines_descend_the_loss_and_leave_fixed_parameters_alone(engine, name):
    loss = members(Loss)[name]()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2, bias=False))
    model[2].weight.requires_grad_(False)
    inputs = torch.randn(8, 4)
    targets = wanted(loss, torch.zeros(8, 2))
    held = engine([model, model], [TRAINING] * 2, [0, 1], CPU, loss)
    held.step(0, inputs.expand(2, 8, 4), targets.expand(2, *targets.shape), 1.0)
    loss.of(model(inputs), targets).backward()
    for replica in (0, 1):
        found = held.model(replica)
        assert torch.equal(found[2].weight, model[2].weight)
        assert not found[2].weight.requires_grad
        theirs = model[0].weight - 0.1 * model[0].weight.grad
        torch.testing.assert_close(found[0].weight, theirs.detach())


def test_a_fleet_refuses_a_chain_of_which_nothing_is_trained():
    model = dense().requires_grad_(False)
    with pytest.raises(InvalidArgument, match="nothing to train"):
        make_engine([model], [TRAINING], [0], CPU)


def test_parts_with_labels_have_an_accuracy_under_any_loss():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    parts = Parts(image_part(40, seed=1), image_part(40, seed=2), image_part(40, seed=3))
    hinge = Hinge(margins=(1.0, 1.0, 1.0))
    fleet = Fleet([model], [TRAINING], [0], CPU, hinge)
    (found,) = fleet.performance(parts.test)
    expected = performance(model, parts.test, hinge)
    assert found.num_correct == expected.num_correct
    assert found.loss == pytest.approx(expected.loss, rel=1e-6)
