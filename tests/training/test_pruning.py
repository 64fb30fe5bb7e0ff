import itertools
from dataclasses import replace

import pytest
import torch

from planted import Stripes
from running import OPTIMIZERS, Listening, member, spec
from surplus.base import InvalidArgument
from surplus.edits import from_raw
from surplus.scores import Magnitude, MeanActivation, Random
from surplus.training import train_fleet
from surplus.training.interventions import Pruning


def pruned(intervention, **settings):
    listening = Listening()
    wanted = replace(spec(**settings), interventions=(intervention,))
    (model,) = train_fleet([replace(member(wanted), recorder=listening)], Stripes().load())
    return model, listening


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "nesterov"])
def test_removed_units_stay_zero_through_momentum_and_decay(optimizer):
    model, listening = pruned(Pruning(sparsity=0.5, first=4, last=4), optimizer=optimizer)
    (change,) = [values for kind, _, values in listening.events if kind == "intervention"]
    removed = change["removed"]
    assert len(removed["fc1"]) == 4 and len(removed["fc2"]) == 3
    assert not model.fc1.weight[removed["fc1"]].any()
    assert not model.fc1.bias[removed["fc1"]].any()
    assert not model.fc2.weight[:, removed["fc1"]].any()
    assert not model.fc3.weight[:, removed["fc2"]].any()
    kept = sorted(set(range(8)) - set(removed["fc1"]))
    assert model.fc1.weight[kept].any(1).all()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "nesterov"])
def test_the_optimizer_state_of_removed_units_is_zero_from_then_on(optimizer):
    _, listening = pruned(Pruning(sparsity=0.5, first=6, last=6), optimizer=optimizer)
    (change,) = [values for kind, _, values in listening.events if kind == "intervention"]
    rows = {name: change["removed"][name] for name in ("fc1", "fc2")}
    for step in (6, 12, 24):
        state = {
            name.removeprefix("optimizer/"): from_raw(raw)
            for name, raw in listening.checkpoints[step].items()
            if name.startswith("optimizer/")
        }
        slots = {name.partition("/")[0] for name in state if "/" in name}
        assert slots == set(OPTIMIZERS[optimizer].slots)
        for slot in slots:
            for layer, reader in (("fc1", "fc2"), ("fc2", "fc3")):
                gone = rows[layer]
                left = sorted(set(range(len(state[f"{slot}/{layer}.bias"]))) - set(gone))
                incoming, bias = state[f"{slot}/{layer}.weight"], state[f"{slot}/{layer}.bias"]
                outgoing = state[f"{slot}/{reader}.weight"]
                assert not incoming[gone].any() and not bias[gone].any()
                assert not outgoing[:, gone].any()
                assert incoming[left].any() and bias[left].any() and outgoing[:, left].any()


def test_iterative_pruning_goes_in_equal_portions_and_only_removes():
    intervention = Pruning(sparsity=0.75, layers=("fc1",), first=4, last=16, every=4)
    _, listening = pruned(intervention)
    events = [(step, values) for kind, step, values in listening.events if kind == "intervention"]
    assert [step for step, _ in events] == [4, 8, 12, 16]
    assert [len(values["removed"]["fc1"]) for _, values in events] == [2, 3, 4, 6]
    gone = [set(values["removed"]["fc1"]) for _, values in events]
    assert all(before <= after for before, after in itertools.pairwise(gone))


def test_snapshots_hold_the_mask():
    _, listening = pruned(Pruning(sparsity=0.5, first=6, last=6, layers=("fc1",)))
    assert "mask/units/fc1" not in listening.snapshots[0]
    assert listening.snapshots[6]["mask/units/fc1"].dtype == "BOOL"


def test_highest_removes_what_lowest_keeps():
    gone = []
    for highest in (False, True):
        _, listening = pruned(Pruning(sparsity=0.5, layers=("fc1",), highest=highest))
        (change,) = [values for kind, _, values in listening.events if kind == "intervention"]
        gone.append(set(change["removed"]["fc1"]))
    assert gone[0].isdisjoint(gone[1]) and len(gone[0] | gone[1]) == 8


@pytest.mark.parametrize("score", [Random(seed=3), MeanActivation(), Magnitude(power=1)])
def test_any_criterion_serves(score):
    _, listening = pruned(Pruning(sparsity=0.25, score=score, layers=("fc1",)))
    assert len([1 for kind, _, _ in listening.events if kind == "intervention"]) == 1


def test_replicas_of_a_fleet_are_pruned_each_on_its_own():
    wanted = replace(spec(), interventions=(Pruning(sparsity=0.5, layers=("fc1",)),))
    together = train_fleet([member(wanted, seed) for seed in (0, 1)], Stripes().load())
    alone = [train_fleet([member(wanted, seed)], Stripes().load())[0] for seed in (0, 1)]
    for a, b in zip(together, alone, strict=True):
        assert torch.equal(a.fc1.weight, b.fc1.weight)
    zeros = [tuple((~model.fc1.weight.any(1)).nonzero()[:, 0].tolist()) for model in together]
    assert zeros[0] != zeros[1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sparsity": 50}, "For 50 percent pass 0.5"),
        ({"sparsity": 0.5, "first": 5, "last": 2}, "must be steps with 0 <= first <= last"),
        ({"sparsity": 0.5, "every": 0}, "`every` is 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InvalidArgument, match=message):
        Pruning(**settings)
