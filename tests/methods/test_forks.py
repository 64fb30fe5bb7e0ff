"""Runs that begin in other runs, in odd company."""

import dataclasses

import pytest
import torch

from running import context, finished, same, spec
from surplus.base import InvalidArgument
from surplus.edits import Edits, Factorisation, Resize, cut
from surplus.masks import Mask
from surplus.methods import address, model_of, train, train_all
from surplus.methods.runs import units_of
from surplus.methods.scheduled import ScheduledPruning
from surplus.training import From
from surplus.training.interventions import Pruning


def test_forks_whose_optimizers_count_differently_do_not_share_a_fleet(tmp_path):
    """Adam divides by a count of its updates; forks of a fresh and of an old state have different ones."""
    where = context(tmp_path)
    parent = spec(optimizer="adam", forks=(6, 12))
    train(parent, (0,), where)
    fresh = dataclasses.replace(parent, start=From(run=address(parent), step=6, optimizer=False))
    train(fresh, (0,), where)
    longer = spec(optimizer="adam", num_steps=30)
    forks = [
        (dataclasses.replace(longer, start=From(run=address(each), step=12)), 0)
        for each in (parent, fresh)
    ]
    together = train_all(forks, where)
    alone = context(tmp_path / "alone")
    train(parent, (0,), alone)
    train(fresh, (0,), alone)
    for fork, run in zip(forks, together, strict=True):
        (single,) = train_all([fork], alone)
        assert same(model_of(single)[0], model_of(run)[0])


def test_a_state_of_another_optimizer_is_refused(tmp_path):
    where = context(tmp_path)
    parent = spec(optimizer="adam", forks=(12,))
    train(parent, (0,), where)
    fork = dataclasses.replace(spec(optimizer="sgd"), start=From(run=address(parent), step=12))
    with pytest.raises(
        InvalidArgument, match=r"left the state of another optimiser \(first, second"
    ):
        train(fork, (0,), where)


def test_a_pruned_run_is_cut_and_goes_on(tmp_path):
    """The mask that the run kept to is cut along with its network."""
    where = context(tmp_path)
    pruned = dataclasses.replace(
        spec(forks=(24,)), interventions=(Pruning(sparsity=0.5, layers=("fc1",), first=6, last=6),)
    )
    (run,) = train(pruned, (0,), where)
    model, mask = model_of(run)
    _, edits = cut(model, mask.bind(units_of(run, model, where)))
    longer = spec(num_steps=36)
    (went_on,) = train(
        dataclasses.replace(longer, start=From(run=run.fingerprint, step=24, edits=edits)),
        (0,),
        where,
    )
    found, left = model_of(went_on)
    assert found.fc1.out_features == 4
    assert left == Mask({"fc1": torch.ones(4, dtype=torch.bool)}, "units")


def test_forks_beyond_the_end_are_refused_before_anything_is_trained(tmp_path):
    run, where = finished(tmp_path)
    before = len(where.store.runs())
    with pytest.raises(
        InvalidArgument, match="`at` holds 99, but the run goes from step 0 to step 24"
    ):
        ScheduledPruning(at=(12, 99), sparsity=0.5).apply(run, where)
    assert len(where.store.runs()) == before
    with pytest.raises(InvalidArgument, match="`forks` is .*, but the run ends at step 24"):
        train(spec(forks=(99,)), (0,), where)


def test_last_does_not_mean_a_fork(tmp_path):
    run, where = finished(tmp_path)
    ScheduledPruning(at=(12,), sparsity=0.5, layers=("fc1",)).apply(run, where)
    assert len(where.store.runs()) > 1
    assert where.store.find("last").name == run.name


def test_the_control_of_a_run_that_began_elsewhere_is_pruned_at_its_beginning(tmp_path):
    where = context(tmp_path)
    parent = spec(forks=(12,))
    train(parent, (0,), where)
    fork = dataclasses.replace(spec(), start=From(run=address(parent), step=12))
    (run,) = train(fork, (0,), where)
    result = ScheduledPruning(at=(18,), sparsity=0.5, layers=("fc1",)).apply(run, where)
    control = where.store.find(result.values["runs"]["random at start"])
    _, mask = model_of(control)
    assert int(mask.kept["fc1"].sum()) == 4


@pytest.mark.parametrize("seeds", [(), (-1,), ("a",), (1.5,)])
def test_seeds_are_whole_numbers(seeds, tmp_path):
    with pytest.raises(InvalidArgument, match="takes at least one whole number from 0 on"):
        train(spec(), seeds, context(tmp_path))


def test_a_run_does_not_begin_with_weights_that_a_record_does_not_hold():
    for edits in (
        Edits((Factorisation(module="fc1", rank=2),)),
        Edits((Resize(verb="merge", units=(), slices=()),)),
    ):
        with pytest.raises(InvalidArgument, match=f"a step of kind '{edits.kinds[0]}'"):
            From(run="0", step=6, edits=edits)
