"""Random subspaces: what a projection promises, and that training does not leave the subspace."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from planted import Stripes, TinyMLP, TinyResidual
from running import OPTIMIZERS, WRAPPED, context, member, same, spec
from surplus.base import InvalidArgument, derive, lookup, members
from surplus.methods import address, model_of, train
from surplus.training import From, Projection, Training, train_fleet
from surplus.training.engine import make_engine
from surplus.training.interventions import Pruning
from surplus.training.optimizers import SGD, MedianOfThree, Subspace
from surplus.training.projections import Dense, Sparse, dense
from surplus.training.projections.hadamard import walsh_hadamard

CPU = torch.device("cpu")
NAMES = list(members(Projection))


def built(name, num_parameters, dimension, seed=0):
    return lookup(Projection, name)().build(num_parameters, dimension, seed, CPU)


def matrix(drawn, dimension):
    """Return the matrix of a map, column by column."""
    return torch.stack([drawn.expand(each) for each in torch.eye(dimension)], dim=1)


@pytest.mark.parametrize("size", [(1000, 20), (100, 64), (65, 33), (12, 12), (7, 1), (3000, 700)])
@pytest.mark.parametrize("name", NAMES)
def test_the_adjoint_is_the_transpose(name, size):
    drawn = built(name, *size)
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        y = torch.randn(size[0], generator=generator)
        x = torch.randn(size[1], generator=generator)
        expanded, pulled = drawn.expand(x), drawn.adjoint(y)
        assert expanded.shape == y.shape and pulled.shape == x.shape
        scale = float(expanded.norm() * y.norm())
        assert float((expanded @ y - x @ pulled).abs()) < 1e-5 * scale


@pytest.mark.parametrize("dimension", [1, 20, 32])
@pytest.mark.parametrize("name", NAMES)
def test_lengths_are_kept_on_average(name, dimension):
    one = torch.zeros(dimension)
    one[0] = 1
    mixed = torch.randn(dimension, generator=torch.Generator().manual_seed(1))
    for x in (one, mixed):
        ratios = [
            float(built(name, 1000, dimension, seed).expand(x).square().sum() / x.square().sum())
            for seed in range(300)
        ]
        assert sum(ratios) / 300 == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_stands_for_one_map_and_another_seed_for_another(name):
    one, again, other = (matrix(built(name, 200, 9, seed), 9) for seed in (3, 3, 4))
    assert torch.equal(one, again) and not torch.allclose(one, other)
    assert int(torch.linalg.matrix_rank(one)) == 9


@pytest.mark.parametrize("length", [1, 2, 8, 32, 64, 256, 2048])
def test_the_fast_transform_is_the_product_with_the_hadamard_matrix(length):
    """Whose entry at (i, j) is minus one to the number of ones that i and j share."""
    common = torch.arange(length)[:, None] & torch.arange(length)
    ones = sum((common >> bit) & 1 for bit in range(11))
    explicit = 1.0 - 2.0 * (ones % 2)
    rows = torch.randn(3, length, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(walsh_hadamard(rows), rows @ explicit, rtol=1e-4, atol=1e-3)
    twice = walsh_hadamard(walsh_hadamard(rows)) / length
    torch.testing.assert_close(twice, rows, rtol=1e-5, atol=1e-5)


def test_columns_of_the_dense_projection_have_length_one():
    lengths = matrix(Dense().build(500, 30, 0, CPU), 30).norm(dim=0)
    torch.testing.assert_close(lengths, torch.ones(30))


def test_a_dense_matrix_that_is_not_held_is_the_same(monkeypatch):
    """Five chunks of it, drawn anew at every product."""
    size = 50_000, 100
    held = Dense().build(*size, 0, CPU)
    monkeypatch.setattr(dense, "HELD", 0)
    drawn = Dense().build(*size, 0, CPU)
    assert drawn._held is None and len(held._held) == 5
    assert max(chunk.numel() for chunk in held._held) <= dense.CHUNK
    x, y = (
        torch.randn(count, generator=torch.Generator().manual_seed(1)) for count in reversed(size)
    )
    assert torch.equal(held.expand(x), drawn.expand(x))
    assert torch.equal(held.adjoint(y), drawn.adjoint(y))


def test_one_in_a_root_of_the_parameters_is_not_zero():
    """And what is not zero is plus or minus one number."""
    found = matrix(Sparse().build(10_000, 40, 0, CPU), 40)
    assert float((found != 0).float().mean()) == pytest.approx(0.01, rel=0.1)
    assert sorted(set(found[found != 0].tolist())) == pytest.approx([-0.1, 0.1])


def toy(P):
    """Return the least loss in a subspace: ten sums of a hundred of the parameters are to be 1, 2, ..., 10."""
    sums = torch.eye(10, dtype=torch.float64).repeat_interleave(100, dim=1)
    wanted = torch.arange(1, 11, dtype=torch.float64)
    A = sums @ P.double()
    x = torch.linalg.lstsq(A, wanted[:, None], driver="gelsd").solution[:, 0]
    return A, wanted, float((A @ x - wanted).square().sum())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", NAMES)
def test_ten_conditions_take_ten_dimensions(name, seed):
    """Exactly: nine are never enough, though what is missing may be little by luck."""
    assert toy(matrix(built(name, 1000, 9, seed), 9))[2] > 1e-8
    assert toy(matrix(built(name, 1000, 10, seed), 10))[2] < 1e-10


@pytest.mark.parametrize("name", NAMES)
def test_ten_conditions_are_learnt_in_ten_dimensions(name):
    least, learnt = zip(*(learnt_toy(name, dimension) for dimension in (9, 10)), strict=True)
    assert learnt == pytest.approx(least, rel=1e-3, abs=1e-10)
    assert learnt[0] > 1e-8
    assert learnt[1] < 1e-10


def learnt_toy(name, dimension):
    """Return the least loss of the toy in a subspace, and the loss that training there arrives at."""
    A, wanted, least = toy(matrix(built(name, 1000, dimension), dimension))
    x = torch.zeros(dimension, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [x], max_iter=2000, tolerance_grad=1e-14, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def loss():
        optimizer.zero_grad()
        value = (A @ x - wanted).square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return least, float(loss().detach())


def vector(model):
    return nn.utils.parameters_to_vector(model.parameters()).detach()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("net", [TinyMLP(), TinyResidual()], ids=["fleet", "module"])
def test_a_step_follows_the_gradient_projected_on_the_subspace(net, name):
    """By P P^T g for each replica, with a P of its own."""
    models = [net.build((1, 4, 4), 3, seed) for seed in (4, 7)]
    projection = lookup(Projection, name)()
    count, rate = len(vector(models[0])), 0.5
    optimizer = Subspace(inner=SGD(learning_rate=rate), dimension=11, projection=projection)
    training = Training(optimizer=optimizer, batch_size=10, num_steps=1)
    engine = make_engine(models, [training] * 2, [4, 7], CPU)
    inputs, targets = Stripes().load().train.batch(torch.arange(20).view(2, 10))
    engine.step(0, inputs, targets, 1.0)
    for replica, model in enumerate(models):
        loss = nn.functional.cross_entropy(model.train()(inputs[replica]), targets[replica])
        gradient = torch.cat(
            [each.flatten() for each in torch.autograd.grad(loss, list(model.parameters()))]
        )
        P = matrix(projection.build(count, 11, derive((4, 7)[replica], "subspace"), CPU), 11)
        expected = vector(model) - rate * P @ (P.T @ gradient)
        torch.testing.assert_close(vector(engine.model(replica)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("net", ["mlp", "conv", "residual"])
def test_training_does_not_leave_the_subspace(net):
    """With Adam, momentum and decay inside, through the median of three, and whatever the schedule."""
    inner = replace(OPTIMIZERS["adam"], weight_decay=0.01)
    optimizer = MedianOfThree(inner=Subspace(inner=inner, dimension=15))
    base = spec(net)
    base = replace(base, training=replace(base.training, optimizer=optimizer))
    begun = member(base)
    start = vector(begun.model)
    (ended,) = train_fleet([begun], Stripes().load())
    moved = (vector(ended) - start).double()
    P = matrix(
        Subspace(dimension=15).projection.build(len(start), 15, derive(0, "subspace"), CPU), 15
    )
    x = torch.linalg.lstsq(P.double(), moved[:, None]).solution[:, 0]
    assert float(moved.norm()) > 0.1
    torch.testing.assert_close(P.double() @ x, moved, rtol=1e-4, atol=1e-5)


def test_what_a_mask_removes_stays_zero_in_a_subspace():
    base = replace(
        spec("mlp", "subspace"),
        interventions=(Pruning(sparsity=0.5, layers=("fc1",), first=6, last=6),),
    )
    (model,) = train_fleet([member(base)], Stripes().load())
    assert int((model.fc1.weight == 0).all(dim=1).sum()) == 4


def test_a_fork_carries_the_coordinates_along(tmp_path):
    """A fork that changes nothing is the run itself; one in another subspace must begin afresh."""
    where = context(tmp_path)
    parent = spec("residual", "subspace", forks=(10,))
    (run,) = train(parent, (0,), where)
    start = From(run=address(parent), step=10)
    child = replace(spec("residual", "subspace"), start=start)
    (fork,) = train(child, (0,), where)
    assert same(model_of(run)[0], model_of(fork)[0])
    wider = replace(WRAPPED["subspace"], dimension=10)
    others = [
        (replace(child.training, optimizer=wider), start, 0),
        (replace(child.training, optimizer=OPTIMIZERS["sgd"]), start, 0),
        (child.training, replace(start, seed=0), 1),
    ]
    for training, begin, seed in others:
        with pytest.raises(InvalidArgument, match="do not train in the same random subspace: that"):
            train(replace(child, training=training, start=begin), (seed,), where)
    afresh = replace(start, step=12, optimizer=False)
    (fresh,) = train(replace(child, training=others[0][0], start=afresh), (0,), where)
    assert fresh.status().state == "complete"


def test_what_is_no_subspace_is_said():
    with pytest.raises(InvalidArgument, match="`dimension` is 0; it must be at least 1"):
        Subspace(dimension=0)
    with pytest.raises(InvalidArgument, match="`inner` trains in a subspace, too"):
        Subspace(inner=MedianOfThree(inner=Subspace(dimension=2)), dimension=2)
    wide = Training(optimizer=Subspace(dimension=5000), batch_size=10, num_steps=1)
    with pytest.raises(
        InvalidArgument, match="`dimension` is 5000, but the network has only 211 t"
    ):
        make_engine([TinyMLP().build((1, 4, 4), 3, 0)], [wide], [0], CPU)
