from dataclasses import replace

import pytest
import torch

from planted import Stripes
from running import Listening, context, member, record, same, spec
from surplus.base import Change, Intervention, InvalidArgument, register
from surplus.edits import from_raw
from surplus.methods import train
from surplus.training import train_fleet
from surplus.training.interventions import Pruning, PruningNoise

REMOVAL = Pruning(sparsity=0.5, layers=("fc1",), first=6, last=6)
NOISE = PruningNoise(instead_of=REMOVAL)
NETS = ["mlp", "conv", "residual"]


def at_the_step(intervention, net="mlp"):
    """Return the weights at the step of the removal, and the record of it."""
    listening = Listening()
    interventions = () if intervention is None else (intervention,)
    wanted = replace(spec(net), interventions=interventions)
    train_fleet([replace(member(wanted), recorder=listening)], Stripes().load())
    found = [values for kind, _, values in listening.events if kind == "intervention"]
    return {
        name: from_raw(raw).double()
        for name, raw in listening.snapshots[6].items()
        if not name.startswith("mask/")
    }, (found[0] if found else None)


@pytest.mark.parametrize("net", NETS)
def test_the_noise_is_as_large_as_the_removal_and_on_the_same_weights(net):
    untouched, _ = at_the_step(None, net)
    pruned, removal = at_the_step(REMOVAL, net)
    noisy, noise = at_the_step(NOISE, net)
    assert noise["disturbed"] == removal["removed"]
    total = 0.0
    for name, before in untouched.items():
        gone, added = pruned[name] - before, noisy[name] - before
        assert float(added.norm()) == pytest.approx(float(gone.norm()), rel=1e-5, abs=1e-7)
        assert not added[(gone == 0) & (before != 0)].any()
        total += float(added.double().square().sum())
    assert noise["norm"] == pytest.approx(total**0.5, rel=1e-5)
    assert noise["norm"] > 0.1


@pytest.mark.parametrize("net", NETS)
def test_replicas_of_a_fleet_are_disturbed_each_on_its_own_and_as_alone(net):
    wanted = replace(spec(net), interventions=(NOISE,))
    together = train_fleet([member(wanted, seed) for seed in (0, 1)], Stripes().load())
    alone = [train_fleet([member(wanted, seed)], Stripes().load())[0] for seed in (0, 1)]
    assert all(same(a, b) for a, b in zip(together, alone, strict=True))


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("stop", [3, 6, 13])
def test_interrupted_before_at_or_after_the_noise_it_ends_bit_identical(net, stop, tmp_path):
    wanted = replace(spec(net, optimizer="adam"), interventions=(NOISE,))
    (whole,) = train(wanted, (0,), context(tmp_path / "whole"))
    with pytest.MonkeyPatch.context() as patch:
        _interrupt_at(patch, stop)
        with pytest.raises(KeyboardInterrupt):
            train(wanted, (0,), context(tmp_path / "parts"))
    (resumed,) = train(wanted, (0,), context(tmp_path / "parts"))
    assert record(resumed) == record(whole)


def _interrupt_at(patch, step):
    from surplus.training import loop

    original = loop._Loop._update

    def update(self):
        if self.step == step:
            for place in self._running():
                self._checkpoint(place, keep=False)
            raise KeyboardInterrupt
        original(self)

    patch.setattr(loop._Loop, "_update", update)


@register("reviving")
class _Reviving(Intervention):
    """Ask for ones everywhere in the first layer at step 8."""

    __slots__ = ()

    def intervene(self, state):
        weight = state.model.fc1.weight
        return Change(weights={"fc1.weight": torch.ones_like(weight)}) if state.step == 8 else None


def test_what_a_mask_removes_stays_zero_whatever_weights_are_asked_for():
    listening = Listening()
    wanted = replace(spec(num_steps=12), interventions=(REMOVAL, _Reviving()))
    (model,) = train_fleet([replace(member(wanted), recorder=listening)], Stripes().load())
    removed = listening.events[0][2].get("removed") or next(
        values["removed"] for kind, _, values in listening.events if kind == "intervention"
    )
    kept = sorted(set(range(8)) - set(removed["fc1"]))
    assert not model.fc1.weight[removed["fc1"]].any()
    assert (model.fc1.weight[kept] - 1).abs().max() < 0.5


def test_weights_that_the_network_does_not_have_are_refused():
    class Odd:
        kind = "odd"

        def intervene(self, state):
            return Change(weights={"fc9.weight": torch.zeros(1)})

    wanted = replace(spec(), interventions=(Odd(),))
    with pytest.raises(InvalidArgument, match=r"has no `fc9\.weight`"):
        train_fleet([member(wanted)], Stripes().load())


def test_in_a_subspace_there_is_no_noise():
    wanted = replace(spec(optimizer="subspace"), interventions=(NOISE,))
    with pytest.raises(InvalidArgument, match="trains in a random subspace"):
        train_fleet([member(wanted)], Stripes().load())


def test_noise_takes_the_place_of_one_removal():
    with pytest.raises(
        InvalidArgument, match="from step 2 to step 9; noise takes the place of one"
    ):
        PruningNoise(instead_of=Pruning(sparsity=0.5, first=2, last=9))
