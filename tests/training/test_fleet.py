"""A fleet member is bit for bit the run it would have been alone."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from planted import Stripes, TinyMLP
from running import NETS, OPTIMIZERS, WRAPPED, bare_loop, member, same, spec
from surplus.base import InvalidArgument, Moments, Probe, UnknownName
from surplus.nets import LeNet300100
from surplus.training import Order, Spec, train_fleet
from surplus.training.moments import AtSteps
from surplus.training.optimizers import SGD
from surplus.training.schedules import Cosine, StepDecay, Warmup


def torchs(parameters):
    """Return torch's optimiser with the settings of `running.OPTIMIZERS["sgd"]`."""
    return torch.optim.SGD(parameters, 0.05, momentum=0.9, weight_decay=1e-3)


def varied(base: Spec, place: int) -> Spec:
    """Return the spec with another learning rate and weight decay for each replica."""
    optimizer = base.training.optimizer
    changed = optimizer.with_rates(
        learning_rate=optimizer.learning_rate * (1 + 0.1 * place),
        weight_decay=optimizer.weight_decay * (1 + place),
    )
    return replace(base, training=replace(base.training, optimizer=changed))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_a_fleet_of_one_is_bit_identical_to_a_member_of_any_fleet(net, optimizer):
    check_as_alone(spec(net, optimizer))


@pytest.mark.parametrize(
    ("net", "optimizer"),
    [
        (net, optimizer)
        for net in NETS
        for optimizer in WRAPPED
        # A network that normalises over the batch has no gradients of single examples.
        if "winsorised" not in optimizer or net not in ("conv", "residual")
    ],
)
@pytest.mark.parametrize("batch_size", [10, 6])
def test_bit_identity_of_optimisers_that_wrap_another(net, optimizer, batch_size):
    check_as_alone(spec(net, optimizer, num_steps=12, batch_size=batch_size))


def check_as_alone(base):
    parts = Stripes().load()
    for size in (2, 5):
        together = train_fleet([member(varied(base, seed), seed) for seed in range(size)], parts)
        for seed in (0, size - 1):
            (alone,) = train_fleet([member(varied(base, seed), seed)], parts)
            assert same(alone, together[seed])


def test_order_in_the_fleet_does_not_matter():
    parts = Stripes().load()
    forwards = train_fleet([member(spec(), seed) for seed in (0, 1, 2)], parts)
    backwards = train_fleet([member(spec(), seed) for seed in (2, 1, 0)], parts)
    assert all(same(a, b) for a, b in zip(forwards, reversed(backwards), strict=True))


@pytest.mark.parametrize("width", [0.05, 0.37])
def test_bit_identity_at_odd_widths(width):
    """Widths that are no multiple of a vector register, where a scalar remainder would show."""
    parts = Stripes().load()
    base = replace(spec(num_steps=40), net=LeNet300100(width=width))
    together = train_fleet([member(base, seed) for seed in range(7)], parts)
    for seed in (0, 3, 6):
        assert same(train_fleet([member(base, seed)], parts)[0], together[seed])


@pytest.mark.parametrize("batch_size", [1, 3, 10, 25, 32])
def test_bit_identity_at_any_batch_size(batch_size):
    """Batches that are no multiple of a vector register, down to a single example."""
    parts = Stripes().load()
    base = spec(num_steps=16, batch_size=batch_size)
    together = train_fleet([member(base, seed) for seed in range(5)], parts)
    for seed in (0, 4):
        assert same(train_fleet([member(base, seed)], parts)[0], together[seed])


@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.Softplus, nn.Tanh, nn.GELU])
def test_padding_stays_silent_through_any_activation(activation):
    """A sigmoid makes one half of the padding's zeros; nothing of that may reach the next layer."""
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(16, 5), activation(), nn.Linear(5, 3)]
    one = replace(member(spec(num_steps=30)), model=nn.Sequential(*layers))
    parts = Stripes().load()
    (ours,) = train_fleet([one], parts)
    together = train_fleet([one, replace(one, seed=1)], parts)
    assert same(ours, together[0])
    model = bare_loop(one, parts, torchs)
    for mine, theirs in zip(ours.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_bit_identity_of_lenet_over_two_hundred_steps(optimizer):
    parts = Stripes(num_train=600).load()
    base = replace(
        spec(optimizer=optimizer, num_steps=200, batch_size=60),
        net=LeNet300100(),
        task=Stripes(num_train=600),
    )
    together = train_fleet([member(varied(base, seed), seed) for seed in range(16)], parts)
    for seed in (0, 7, 15):
        (alone,) = train_fleet([member(varied(base, seed), seed)], parts)
        assert same(alone, together[seed])


def test_it_takes_the_steps_of_a_bare_torch_loop():
    parts = Stripes().load()
    wanted = spec("mlp", "sgd", num_steps=20)
    (ours,) = train_fleet([member(wanted)], parts)
    model = bare_loop(member(wanted), parts, torchs)
    for mine, theirs in zip(ours.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_batch_norm_statistics_follow_torch():
    parts = Stripes().load()
    wanted = spec("conv", "sgd", num_steps=10)
    (ours,) = train_fleet([member(wanted)], parts)
    model = bare_loop(member(wanted), parts, torchs)
    for name, theirs in model.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], theirs, rtol=1e-3, atol=1e-4)


NUM_STEPS = 30
COSINE = [0.1 + 0.9 * (1 + math.cos(math.pi * step / NUM_STEPS)) / 2 for step in range(NUM_STEPS)]
SCHEDULES = {
    "cosine": (Cosine(final=0.1), COSINE),
    "warmup": (Warmup(num_steps=12), [min(1, (step + 1) / 12) for step in range(NUM_STEPS)]),
    "warmup, then cosine": (
        Warmup(num_steps=12, then=Cosine(final=0.1)),
        [min(1, (step + 1) / 12) * COSINE[step] for step in range(NUM_STEPS)],
    ),
    "step decay": (
        StepDecay(milestones=(0.5, 0.8), factor=0.2),
        [0.2 ** ((step >= 15) + (step >= 24)) for step in range(NUM_STEPS)],
    ),
}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_each_update_takes_the_rate_of_the_schedule(name, optimizer):
    """The rates are written out by hand; a bare loop that sets them step by step must arrive at the same weights."""
    schedule, amounts = SCHEDULES[name]
    rate, theirs = {
        "sgd": (0.05, torchs),
        "adamw": (0.01, lambda parameters: torch.optim.AdamW(parameters, weight_decay=0.1)),
    }[optimizer]
    parts = Stripes().load()
    wanted = spec("mlp", optimizer, num_steps=NUM_STEPS, schedule=schedule)
    (ours,) = train_fleet([member(wanted)], parts)
    model = bare_loop(member(wanted), parts, theirs, lambda step: rate * amounts[step])
    for mine, each in zip(ours.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(mine, each, rtol=1e-4, atol=1e-5)


def test_every_epoch_sees_every_example_once_in_another_order():
    clock = spec().training.clock(120)
    order = Order(3, 120, 10, clock)
    epochs = [torch.cat([order.batch(12 * epoch + k) for k in range(12)]) for epoch in range(2)]
    assert all(sorted(epoch.tolist()) == list(range(120)) for epoch in epochs)
    assert not torch.equal(*epochs)
    assert torch.equal(Order(3, 120, 10, clock).batch(13), order.batch(13))


def test_bfloat16_trains_close_to_float32():
    parts = Stripes().load()
    (full,) = train_fleet([member(spec(num_steps=60))], parts)
    (half,) = train_fleet([member(spec(num_steps=60, precision="bfloat16"))], parts)
    assert not same(full, half)
    inputs, _ = parts.test.batch(torch.arange(20))
    with torch.no_grad():
        assert float((full(inputs) - half(inputs)).abs().max()) < 1.0
    assert all(parameter.dtype == torch.float32 for parameter in half.parameters())


def test_a_compiled_step_computes_the_same():
    parts = Stripes().load()
    (eager,) = train_fleet([member(spec(num_steps=8))], parts)
    (compiled,) = train_fleet([member(spec(num_steps=8, compile="aot_eager"))], parts)
    for mine, theirs in zip(eager.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_a_missing_compiler_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(InvalidArgument, match=r"needs a C\+\+ compiler.*apt-get install g\+\+"):
        train_fleet([member(spec(compile="inductor"))], Stripes().load())


def test_what_differs_cannot_train_together():
    parts = Stripes().load()
    longer = spec(num_steps=30)
    with pytest.raises(InvalidArgument, match="must have the same net, task, training and step"):
        train_fleet([member(spec()), member(longer)], parts)
    nesterov = replace(
        spec(), training=replace(spec().training, optimizer=SGD(learning_rate=0.1, momentum=0.8))
    )
    with pytest.raises(InvalidArgument, match="must have the same"):
        train_fleet([member(spec()), member(nesterov)], parts)
    with pytest.raises(InvalidArgument, match="at least one run"):
        train_fleet([], parts)


class Doubling(nn.Module):
    def forward(self, value):
        return 2 * value


def test_layers_without_a_batched_form_are_named():
    one = member(spec())
    strange = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), Doubling())
    with pytest.raises(InvalidArgument, match="Layer `2` is a Doubling, which the training engine"):
        train_fleet([replace(one, model=strange)], Stripes().load())
    layer = nn.Linear(16, 16)
    shared = nn.Sequential(nn.Flatten(), layer, layer)
    with pytest.raises(InvalidArgument, match="share parameters"):
        train_fleet([replace(one, model=shared)], Stripes().load())


def test_a_network_without_a_dense_layer_is_refused():
    pooled = nn.Sequential(nn.Conv2d(1, 3, 4), nn.ReLU(), nn.Flatten())
    with pytest.raises(InvalidArgument, match="no dense layer that could be its output"):
        train_fleet([replace(member(spec()), model=pooled)], Stripes().load())


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (TinyMLP(bias=False), r"`fc1\.bias` is missing; the network has \(8,\)\."),
        (
            LeNet300100(width=0.05),
            r"`fc1\.weight` is of shape \(15, 16\); the network has \(8, 16\)\.",
        ),
    ],
    ids=["missing", "of another shape"],
)
def test_networks_of_a_fleet_that_differ_are_named_by_their_tensor(net, message):
    one = member(spec())
    other = replace(one, seed=1, model=net.build((1, 4, 4), 3, seed=1))
    with pytest.raises(InvalidArgument, match=message):
        train_fleet([one, other], Stripes().load())


@dataclass(frozen=True, kw_only=True, slots=True)
class Peeking(Probe):
    """Look at a part of any name."""

    part: str
    at: Moments = AtSteps(given=(0,))

    def look(self, state):
        return {"loss": state.performance(self.part).loss}


def test_a_part_that_does_not_exist_gets_a_suggestion():
    wanted = spec(probes=(Peeking(part="tset"),))
    with pytest.raises(
        UnknownName,
        match=r"There is no part called `tset`\. Did you mean `test`\? Known: test, train, validation\.",
    ):
        train_fleet([member(wanted)], Stripes().load())


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(
        InvalidArgument, match="`batch_size` is 500, but the train part holds only 120"
    ):
        train_fleet([member(spec(batch_size=500))], Stripes().load())


@pytest.mark.gpu
@pytest.mark.parametrize("optimizer", ["sgd", "median-of-three", "winsorised", "subspace"])
def test_on_a_cuda_device_it_learns_the_same(optimizer):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    from surplus.base import Parts

    device = torch.device("cuda")
    parts = Stripes().load()
    wanted = spec(optimizer=optimizer, num_steps=20)
    (cpu,) = train_fleet([member(wanted)], parts)
    (gpu,) = train_fleet([member(wanted)], Parts(*(p.to(device) for p in parts)), device)
    for mine, theirs in zip(cpu.parameters(), gpu.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


def test_a_replica_with_tensors_of_its_own_is_refused():
    plain = member(spec("no-bias"))
    other = replace(plain, seed=1, model=NETS["mlp"].build((1, 4, 4), 3, 1))
    with pytest.raises(InvalidArgument, match="The network has no `fc1.bias`; a replica of it"):
        train_fleet([plain, other], Stripes().load())
