"""Gradients that a few examples cannot bend: against loops, against the optimiser inside, and on planted noise."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import oracles.robust_gradients as oracle
from planted import Stripes, TinyConv, TinyMLP, TinyResidual
from running import WRAPPED, finished, member, record, same, spec
from surplus.base import InvalidArgument, decode, derive, encode, label
from surplus.cli.options import member as named
from surplus.methods import train
from surplus.training import Optimizer, Training, Update, train_fleet
from surplus.training.engine import make_engine
from surplus.training.fleet import Fleet
from surplus.training.modules import Modules
from surplus.training.optimizers import SGD, Adam, MedianOfThree, RollingMedian, Winsorised

CPU = torch.device("cpu")
RATE = 0.5


def rows(count, width=37, dtype=torch.float64):
    """Return the gradients of two replicas for `count` groups, with ties, zeros and one outlier."""
    generator = torch.Generator().manual_seed(count)
    found = torch.randn(count, 2, width, generator=generator, dtype=dtype)
    found[0, :, 0] = 1e6
    found[:, :, 1] = 0
    found[count // 2 :, :, 2] = 1
    return found


def fed(gradients):
    """Yield gradients as an engine does: in one buffer, which the next one overwrites."""
    buffer = torch.empty_like(gradients[0])
    for each in gradients:
        yield buffer.copy_(each)
        buffer.fill_(float("nan"))


@pytest.mark.parametrize("count", [5, 6, 7, 20])
@pytest.mark.parametrize("num_clipped", [0, 1, 2])
def test_the_winsorised_mean_is_that_of_sorted_columns(count, num_clipped):
    gradients = rows(count)
    found = Winsorised(num_clipped=num_clipped).combine(fed(gradients))
    for replica in range(2):
        wanted = oracle.winsorised(gradients[:, replica], num_clipped)
        torch.testing.assert_close(found[replica], wanted, rtol=1e-12, atol=1e-12)


def test_clipping_all_but_the_median_leaves_the_median():
    gradients = rows(7)
    found = Winsorised(num_clipped=3).combine(fed(gradients))
    assert torch.equal(found[0], oracle.median(gradients[:, 0]))


def test_the_median_of_three_is_that_of_sorted_columns():
    gradients = rows(3)
    found = MedianOfThree().combine(fed(gradients))
    for replica in range(2):
        assert torch.equal(found[replica], oracle.median(gradients[:, replica]))


@pytest.mark.parametrize("inner", [SGD(learning_rate=0.1, momentum=0.9), Adam(weight_decay=0.1)])
def test_the_rolling_median_hands_on_the_median_of_the_last_three(inner):
    ours = RollingMedian(inner=inner)
    gradients = rows(9, dtype=torch.float32)
    expected = [*gradients[:2]]
    for place in range(2, 9):
        last = gradients[place - 2 : place + 1]
        expected.append(torch.stack([oracle.median(last[:, replica]) for replica in range(2)]))
    paths = [stepped(ours, gradients), stepped(inner, expected)]
    assert torch.equal(*paths)


def stepped(optimizer, gradients):
    """Return where an optimiser takes two replicas from zero."""
    place = torch.zeros(2, 37)
    slots = {name: torch.zeros(2, 37) for name in optimizer.slots}
    rates = torch.full((2, 1), optimizer.learning_rate)
    decays = torch.full((2, 1), optimizer.weight_decay)
    for count, each in enumerate(gradients, start=1):
        optimizer.update(
            Update(place, each.clone(), slots, rates, decays, bool(decays.any()), count)
        )
    return place


PLAIN = SGD(learning_rate=RATE)
COMBINED = {
    "winsorised": (Winsorised(inner=PLAIN), lambda rows: oracle.winsorised(rows, 1)),
    "two clipped": (
        Winsorised(inner=PLAIN, num_clipped=2),
        lambda rows: oracle.winsorised(rows, 2),
    ),
    "median-of-three": (MedianOfThree(inner=PLAIN), oracle.median_of_three),
}


@pytest.mark.parametrize("kind", [Fleet, Modules])
@pytest.mark.parametrize("name", COMBINED)
def test_an_engine_takes_the_step_that_loops_over_examples_take(name, kind):
    """Ten examples: thirds that differ in size."""
    optimizer, combined = COMBINED[name]
    models = [TinyMLP().build((1, 4, 4), 3, seed) for seed in (0, 1)]
    training = Training(optimizer=optimizer, batch_size=10, num_steps=1)
    engine = kind(models, [training] * 2, [0, 1], CPU)
    inputs, targets = Stripes().load().train.batch(torch.arange(20).view(2, 10))
    engine.step(0, inputs, targets, 1.0)
    losses = engine.take_losses()
    for replica, model in enumerate(models):
        gradient = combined(oracle.of_examples(model, inputs[replica], targets[replica]))
        start = nn.utils.parameters_to_vector(model.parameters())
        found = nn.utils.parameters_to_vector(engine.model(replica).parameters())
        torch.testing.assert_close(found, start - RATE * gradient, rtol=1e-6, atol=1e-6)
        loss = nn.functional.cross_entropy(model(inputs[replica]), targets[replica])
        assert losses[replica] == pytest.approx(float(loss.detach()), rel=1e-5)


@pytest.mark.parametrize("net", ["mlp", "dropout", "conv", "residual"])
def test_clipping_nothing_is_the_optimiser_inside_bit_for_bit(net):
    parts = Stripes().load()
    plain = spec(net)
    inner = plain.training.optimizer
    clipped = Winsorised(inner=inner, num_clipped=0)
    wanted = replace(plain, training=replace(plain.training, optimizer=clipped))
    assert same(train_fleet([member(plain)], parts)[0], train_fleet([member(wanted)], parts)[0])


@pytest.mark.parametrize("net", [TinyMLP(), TinyResidual()], ids=["fleet", "module"])
def test_the_median_of_three_equal_thirds_is_the_optimiser_inside(net):
    index = torch.arange(4).repeat(3)[None]
    inputs, targets = Stripes().load().train.batch(index)
    found = []
    for optimizer in (PLAIN, MedianOfThree(inner=PLAIN)):
        training = Training(optimizer=optimizer, batch_size=12, num_steps=1)
        engine = make_engine([net.build((1, 4, 4), 3, 0)], [training], [0], CPU)
        for step in range(3):
            engine.step(step, inputs, targets, 1.0)
        found.append(nn.utils.parameters_to_vector(engine.model(0).parameters()))
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)


def test_groups_of_a_dropout_net_draw_each_their_own():
    """And from nothing but seed, step and group."""
    model = TinyMLP(dropout=0.5).build((1, 4, 4), 3, 0)
    inputs, targets = Stripes().load().train.batch(torch.zeros(1, 9, dtype=torch.int64))
    training = Training(optimizer=MedianOfThree(), batch_size=9, num_steps=1)
    engine = Fleet([model], [training], [0], CPU)
    drawn = []
    original = engine._draw
    engine._draw = lambda *given: drawn.append(given[:3]) or original(*given)
    engine.step(7, inputs, targets, 1.0)
    assert drawn == [(0, "dropout1", (7, place)) for place in range(3)]
    assert derive(0, "dropout", "dropout1", 7, 0) != derive(0, "dropout", "dropout1", 7)


@pytest.mark.parametrize(
    ("net", "optimizer"),
    [
        ("dropout", "median-of-three"),
        ("residual", "rolling-median"),
        ("no-bias", "winsorised"),
        ("conv", "subspace"),
    ],
)
def test_interrupted_they_go_on_bit_identically(net, optimizer, tmp_path):
    run, where = finished(tmp_path, net=net, optimizer=optimizer)
    want = record(run)
    (run.path / "status.json").unlink()
    for path in sorted((run.path / "checkpoints").iterdir())[1:]:
        path.unlink()
    (again,) = train(spec(net, optimizer), (0,), where)
    assert again.series("resume") and record(again) == want


def noisy_gaussians(seed, count=990, features=50, classes=10):
    """Return Gaussian data of ten classes, of whose labels two in five are wrong, and clean data to test on."""
    generator = torch.Generator().manual_seed(derive(seed, "gaussians"))
    centres = torch.randn(classes, features, generator=generator)
    centres *= 6 / centres.norm(dim=1, keepdim=True)

    def drawn(count):
        labels = torch.arange(count) % classes
        noise = torch.randn(count, features, generator=generator)
        return centres[labels] + noise, labels

    inputs, labels = drawn(count)
    wrong = torch.rand(count, generator=generator) < 0.4
    shifts = torch.randint(1, classes, (count,), generator=generator)
    return inputs, torch.where(wrong, (labels + shifts) % classes, labels), wrong, drawn(count)


def fits(optimizer, seed):
    """Return a network's accuracy on the wrong labels that it was shown, and on clean data."""
    inputs, labels, wrong, (clean, truth) = noisy_gaussians(seed)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(50, 256), nn.ReLU(), nn.Linear(256, 10))
    training = Training(optimizer=optimizer, batch_size=99, num_epochs=60)
    engine = make_engine([model], [training], [seed], CPU)
    for epoch in range(60):
        generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
        order = torch.randperm(990, generator=generator).view(10, 1, 99)
        for place, index in enumerate(order):
            engine.step(10 * epoch + place, inputs[index], labels[index], 1.0)
    fitted = engine.model(0)
    with torch.no_grad():
        shown = (fitted(inputs).argmax(1) == labels)[wrong]
        return float(shown.float().mean()), float((fitted(clean).argmax(1) == truth).float().mean())


def test_the_median_of_three_memorises_less():
    """Gaussians of ten classes with 40 % wrong labels: it fits fewer of these, and is no worse on clean data."""
    for seed in range(3):
        plain, plain_clean = fits(SGD(learning_rate=0.1), seed)
        robust, robust_clean = fits(MedianOfThree(inner=SGD(learning_rate=0.1)), seed)
        assert plain > 0.7
        assert robust < plain - 0.03
        assert robust_clean > plain_clean - 0.02


def test_they_are_named_on_the_command_line():
    words = 'rolling-median:inner={"kind":"adam","learning_rate":0.01}'
    found = named(Optimizer, words)
    assert found == RollingMedian(inner=Adam(learning_rate=0.01))
    assert label(found) == words
    assert named(Optimizer, "winsorised:num_clipped=3,inner=adam") == Winsorised(
        inner=Adam(), num_clipped=3
    )
    for each in WRAPPED.values():
        assert decode(Optimizer, encode(each)) == each


def test_what_cannot_be_divided_is_said():
    with pytest.raises(InvalidArgument, match="`batch_size` is 2; `median-of-three` needs at"):
        Training(optimizer=MedianOfThree(), batch_size=2, num_steps=1)
    with pytest.raises(
        InvalidArgument, match="`num_clipped` is 5 at either end, but a batch holds"
    ):
        Training(optimizer=Winsorised(num_clipped=5), batch_size=10, num_steps=1)
    with pytest.raises(InvalidArgument, match="`num_clipped` is -1; it must not be negative"):
        Winsorised(num_clipped=-1)
    with pytest.raises(
        InvalidArgument, match="`median-of-three` and the optimiser that it holds b"
    ):
        MedianOfThree(inner=RollingMedian(inner=Winsorised()))
    for net, layer in ((TinyConv(), "bn1"), (TinyResidual(), "bn1")):
        training = Training(optimizer=Winsorised(), batch_size=10, num_steps=1)
        model = net.build((1, 4, 4), 3, 0)
        with pytest.raises(
            InvalidArgument, match=f"Layer `{layer}` normalises over the batch, but"
        ):
            make_engine([model], [training], [0], CPU)
