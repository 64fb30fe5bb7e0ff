"""The engine for networks that are no chains: the steps of a bare torch loop, and draws from nothing but seeds."""

from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from planted import Residual, Stripes, TinyConv, TinyResidual
from running import OPTIMIZERS, Listening, bare_loop, context, member, same, spec
from surplus.base import InvalidArgument, Parts, derive, fingerprint, members, register
from surplus.base import Net as AnyNet
from surplus.edits import cut
from surplus.masks import Mask
from surplus.methods import address, model_of, train
from surplus.methods.runs import units_of
from surplus.training import From, engine_of, train_fleet
from surplus.training.engine import make_engine
from surplus.training.fleet import Fleet
from surplus.training.interventions import Pruning
from surplus.training.modules import Modules
from surplus.units import find_units

CPU = torch.device("cpu")
TORCHS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=1e-3),
    "nesterov": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, 0.01),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
}


def residual(dropout=0.0, **settings):
    """Return a spec of a network that is no chain."""
    return replace(spec("residual", **settings), net=TinyResidual(dropout=dropout))


def engine(models, wanted=None, kind=Modules):
    """Return the engine for models, with seeds 0, 1 ..."""
    training = (wanted or residual()).training
    return kind(models, [training] * len(models), range(len(models)), CPU)


def batch(count=10, replicas=1):
    """Return the first examples of the stripes, for each replica the same."""
    inputs, targets = Stripes().load().train.batch(torch.arange(count))
    return inputs.expand(replicas, *inputs.shape), targets.expand(replicas, -1)


def tiny(seed=0, dropout=0.0):
    return TinyResidual(dropout=dropout).build((1, 4, 4), 3, seed)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_it_takes_the_steps_of_a_bare_torch_loop(optimizer):
    """Running statistics and their count included."""
    parts = Stripes().load()
    wanted = residual(optimizer=optimizer, num_steps=20)
    (ours,) = train_fleet([member(wanted)], parts)
    theirs = bare_loop(member(wanted), parts, TORCHS[optimizer]).state_dict()
    assert theirs["bn1.num_batches_tracked"] == 20
    for name, mine in ours.state_dict().items():
        torch.testing.assert_close(mine, theirs[name], rtol=1e-4, atol=1e-5)


def test_dropout_is_drawn_from_the_seed_and_the_step():
    model = tiny(dropout=0.5)
    ours = engine([model])
    inputs, targets = batch()
    ours.step(7, inputs, targets, 1.0)
    torch.manual_seed(derive(0, "noise", 7))
    loss = F.cross_entropy(model.train()(inputs[0]), targets[0])
    assert ours.take_losses() == [float(loss.detach())]


def test_the_random_stream_of_the_caller_is_left_as_found():
    model = tiny(dropout=0.5)
    state = torch.get_rng_state()
    ours = engine([model])
    ours.step(0, *batch(), 1.0)
    ours.performance(Stripes().load().test)
    engine_of(residual(dropout=0.123))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_chain_trains_as_on_the_fleet_engine():
    models = [TinyConv().build((1, 4, 4), 3, seed) for seed in (0, 1)]
    one, other = (engine(models, kind=kind) for kind in (Fleet, Modules))
    inputs, targets = batch(replicas=2)
    for each in (one, other):
        mask = Mask.full(find_units(each.template, inputs[0]), ("conv1",))
        mask.kept["conv1"][1] = False
        each.set_mask(1, mask)
        for step in range(8):
            each.step(step, inputs, targets, 1.0)
    assert one.loss_count == other.loss_count == 8
    assert one.take_losses() == pytest.approx(other.take_losses(), rel=1e-5)
    for replica in (0, 1):
        for find in ("tensors", "optimizer_tensors"):
            ours, theirs = getattr(other, find)(replica), getattr(one, find)(replica)
            assert ours.keys() == theirs.keys()
            for name, tensor in theirs.items():
                torch.testing.assert_close(ours[name], tensor, rtol=1e-4, atol=1e-5)
    part = Stripes().load().test
    for ours, theirs in zip(other.performance(part), one.performance(part), strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)
        assert ours.num_correct == theirs.num_correct


def test_the_engine_is_chosen_by_whether_the_network_is_a_chain():
    chain, other = TinyConv().build((1, 4, 4), 3, 0), tiny()
    training = [residual().training]
    assert isinstance(make_engine([chain], training, [0], CPU), Fleet)
    assert isinstance(make_engine([other], training, [0], CPU), Modules)


def test_the_address_names_the_module_engine_only():
    chain, other = spec("conv"), residual()
    assert (engine_of(chain), engine_of(other)) == ("fleet", "module")
    assert address(chain) == fingerprint(chain, data="stripes")
    assert address(other) == fingerprint(other, data="stripes", engine="module")


@register("tiny-looking")
@dataclass(frozen=True, kw_only=True, slots=True)
class Looking(AnyNet):
    """A network that looks at its numbers while it is built."""

    def build(self, input_shape, num_classes, seed):
        model = TinyResidual().build(input_shape, num_classes, seed)
        assert float(model.fc1.weight.detach().std()) > 0
        return model


def test_a_network_that_looks_at_its_numbers_has_an_address_too():
    assert engine_of(replace(spec(), net=Looking())) == "module"


def test_a_mask_is_kept_to_from_the_step_at_which_it_is_set(tmp_path):
    wanted = residual(num_steps=40)
    pruned = Pruning(sparsity=0.5, layers=("conv1", "fc1"), first=5, last=20, every=5)
    (run,) = train(replace(wanted, interventions=(pruned,)), (0,), context(tmp_path))
    model, mask = model_of(run)
    assert mask is not None and mask.sparsity >= 0.4
    weights = model.state_dict()
    for name, kept in mask.kept.items():
        assert not weights[f"{name}.weight"][~kept].any()
        assert weights[f"{name}.weight"][kept].any()
    assert run.spec()["identity"] == {"data": "stripes", "engine": "module"}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_cut_network_trains_on_as_the_masked_one(optimizer, tmp_path):
    """With the optimiser's state, which is cut along."""
    where = context(tmp_path)
    pruned = Pruning(sparsity=0.5, layers=("conv1", "fc1"), first=6, last=6, every=1)
    wanted = residual(optimizer=optimizer, forks=(12,))
    (parent,) = train(replace(wanted, interventions=(pruned,)), (0,), where)
    model, mask = model_of(parent, 12)
    smaller, edits = cut(model, mask.bind(units_of(parent, model, where)))
    ends = []
    for each in (None, edits):
        start = From(run=parent.fingerprint, step=12, edits=each)
        (run,) = train(replace(residual(optimizer=optimizer), start=start), (0,), where)
        ends.append(model_of(run)[0])
    assert ends[1].fc1.weight.shape == smaller.fc1.weight.shape == (3, 2 * 16)
    inputs = batch(60)[0][0]
    torch.testing.assert_close(ends[1](inputs), ends[0](inputs), rtol=1e-4, atol=1e-5)
    assert not same(ends[1], smaller.eval())


def test_a_fork_that_changes_nothing_is_its_parent(tmp_path):
    where = context(tmp_path)
    wanted = residual(dropout=0.4, forks=(12,))
    (parent,) = train(wanted, (0,), where)
    (fork,) = train(replace(wanted, start=From(run=parent.fingerprint, step=12)), (0,), where)
    assert same(model_of(fork)[0], model_of(parent)[0])


def test_loading_a_state_restores_it():
    ours = engine([tiny(0), tiny(1)])
    inputs, targets = batch(replicas=2)
    ours.step(0, inputs, targets, 1.0)
    weights, state = ours.tensors(0), ours.optimizer_tensors(0)
    ours.step(1, inputs, targets, 1.0)
    after = ours.tensors(0)
    ours.load(0, weights)
    ours.load_optimizer(0, state)
    ours.step(1, inputs, targets, 1.0)
    assert all(torch.equal(tensor, after[name]) for name, tensor in ours.tensors(0).items())


def test_frozen_parameters_stay_as_they_are_and_keep_to_masks():
    model = tiny()
    model.fc1.weight.requires_grad_(False)
    ours = engine([model])
    mask = Mask.full(find_units(ours.template, batch()[0][0]), ("fc1",))
    mask.kept["fc1"][2] = False
    ours.set_mask(0, mask)
    for step in range(3):
        ours.step(step, *batch(), 1.0)
    found = ours.model(0)
    expected = model.fc1.weight.detach().clone()
    expected[2] = 0
    assert torch.equal(found.fc1.weight, expected) and not found.fc1.weight.requires_grad
    assert not found.fc1.bias[2] and not found.fc2.weight[:, 2].any()
    assert not torch.equal(found.fc2.bias, model.fc2.bias)


class Tied(nn.Module):
    """One matrix read twice, a constant that no state dict holds, and a parameter that nothing reads."""

    def __init__(self, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.one = nn.Linear(16, 16)
        self.two = nn.Linear(16, 16)
        self.two.weight = self.one.weight
        self.out = nn.Linear(16, 3)
        self.unread = nn.Parameter(torch.ones(2))
        constant = torch.randn(16, generator=generator)
        self.register_buffer("constant", constant, persistent=False)

    def forward(self, x):
        return self.out(self.two(torch.relu(self.one(x.flatten(1)))) * self.constant)


def test_shared_weights_constants_and_idle_parameters_are_no_trouble():
    models = [Tied(0), Tied(1)]
    ours = engine(models, residual(optimizer="adam"))
    inputs, targets = batch(replicas=2)
    for step in range(5):
        ours.step(step, inputs, targets, 1.0)
    for replica, model in enumerate(models):
        found = ours.model(replica)
        assert found.two.weight is found.one.weight
        assert not torch.equal(found.one.weight, model.one.weight)
        assert torch.equal(found.constant, model.constant)
        assert torch.equal(found.unread, torch.ones(2))
        assert found.one.weight.untyped_storage().nbytes() == 4 * 256
        found.load_state_dict(ours.tensors(replica), strict=True)


def test_a_compiled_step_computes_the_same():
    parts = Stripes().load()
    runs = [
        train_fleet([member(residual(num_steps=6, compile=backend), s) for s in range(10)], parts)
        for backend in (None, "aot_eager")
    ]
    for eager, compiled in zip(*runs, strict=True):
        for mine, theirs in zip(eager.parameters(), compiled.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_bfloat16_trains_close_to_float32():
    parts = Stripes().load()
    full, half = (
        train_fleet([member(residual(num_steps=40, precision=kind))], parts)[0]
        for kind in ("float32", "bfloat16")
    )
    assert not same(full, half)
    inputs, _ = parts.test.batch(torch.arange(20))
    with torch.no_grad():
        assert float((full(inputs) - half(inputs)).abs().max()) < 1.0
    assert all(parameter.dtype == torch.float32 for parameter in half.parameters())


@pytest.mark.gpu
def test_on_a_cuda_device_it_learns_the_same():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    device = torch.device("cuda")
    parts = Stripes().load()
    moved = Parts(*(part.to(device) for part in parts))
    (cpu,) = train_fleet([member(residual(num_steps=20))], parts)
    (gpu,) = train_fleet([member(residual(num_steps=20))], moved, device)
    for mine, theirs in zip(cpu.parameters(), gpu.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


OTHERS = ("mobilenet-v1", "mobilenet-v2", "resnet-18", "resnet-50", "resnet-cifar", "wide-resnet")


@pytest.mark.parametrize("name", OTHERS)
def test_every_net_of_the_room_that_is_no_chain_trains_as_alone(name):
    wanted = replace(spec(num_steps=3, batch_size=8), net=members(AnyNet)[name](width=0.1))
    parts = Stripes(num_train=32).load()
    together = train_fleet([member(wanted, seed) for seed in (0, 1)], parts)
    listening = Listening()
    (alone,) = train_fleet([replace(member(wanted, 1), recorder=listening)], parts)
    assert engine_of(wanted) == "module"
    assert same(alone, together[1]) and not same(*together)
    losses = [values["loss"] for kind, _, values in listening.events if kind == "train"]
    assert losses and all(0 < loss < 10 for loss in losses)


class Twice(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.fc = nn.Linear(16, 3)
        self.value = value

    def forward(self, x):
        out = self.fc(x.flatten(1))
        return (out, out) if self.value == "pair" else out[:, :, None]


class WithNotes(Residual):
    def get_extra_state(self):
        return {"note": 1}

    def set_extra_state(self, state):
        pass


@pytest.mark.message
def test_what_cannot_be_trained_is_said():
    with pytest.raises(InvalidArgument, match=r"The network returns tuple; .* \(batch, classes\)"):
        engine([Twice("pair")]).step(0, *batch(), 1.0)
    with pytest.raises(InvalidArgument, match=r"The network returns \(10, 3, 1\); to be trained"):
        engine([Twice("map")]).step(0, *batch(), 1.0)
    with pytest.raises(InvalidArgument, match=r"`conv1.weight` is torch.float64; .*model.float"):
        engine([tiny().double()])
    with pytest.raises(InvalidArgument, match="no parameter that requires a gradient: nothing"):
        engine([tiny().requires_grad_(False)])
    with pytest.raises(InvalidArgument, match="state holds `_extra_state`, a dict; snapshots hold"):
        engine([WithNotes(1, 16, 3, 0.0)])
    with pytest.raises(InvalidArgument, match="`fc2.weight` is of shape"):
        engine([tiny(), TinyResidual().build((1, 4, 4), 5, 0)])
