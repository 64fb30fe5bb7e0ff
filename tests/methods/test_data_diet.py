"""The data diet: which examples are kept, what is trained on them, and what is refused."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from running import context, finished
from surplus.base import InvalidArgument
from surplus.methods import DataDiet, model_of, spec_of, train
from surplus.nets import MLP
from surplus.store import Store
from surplus.tasks import Labels, MNIST10k
from surplus.training import From, Spec, Training
from surplus.training.moments import AtSteps
from surplus.training.optimizers import SGD

SUBSET = tuple(range(1, 241, 2))
DIET = DataDiet(at=6, sparsity=0.75, num_scorers=2, other=MLP(widths=(5,)))


def wanted(**labels):
    training = Training(
        optimizer=SGD(learning_rate=0.05), batch_size=20, num_epochs=3, snapshots=AtSteps()
    )
    task = MNIST10k(subset=SUBSET, labels=Labels(**labels))
    return Spec(net=MLP(widths=(8,)), task=task, training=training)


@pytest.fixture(scope="module")
def dieted(tmp_path_factory):
    where = context(tmp_path_factory.mktemp("diet"))
    (run,) = train(wanted(), (3,), where)
    return run, where, DIET.apply(run, where)


def kept_by(where, found, name):
    spec = spec_of(where.store.find(found.values["runs"][name]))
    return spec, [SUBSET.index(place) for place in spec.task.subset]


def slow_el2n(where, net):
    """The mean over the scoring networks, example by example."""
    part = where.parts(wanted().task).train
    scores = torch.zeros(len(part), dtype=torch.float64)
    scorers = [
        run
        for run in where.store.runs()
        if run.made_by() == "data-diet"
        and spec_of(run).net == net
        and spec_of(run).training.num_steps == 6
    ]
    assert len(scorers) == 2 and all(spec_of(run).task.subset == SUBSET for run in scorers)
    for run in scorers:
        model, _ = model_of(run)
        for place in range(len(part)):
            inputs, target = part.batch(torch.tensor([place]))
            error = model(inputs)[0].detach().double().softmax(0)
            error = error - F.one_hot(target[0], 10)
            scores[place] += error.square().sum().sqrt() / len(scorers)
    return scores


@pytest.mark.parametrize(
    ("name", "net"), [("el2n", MLP(widths=(8,))), ("el2n of another", MLP(widths=(5,)))]
)
def test_the_examples_that_networks_err_in_most_are_kept(dieted, name, net):
    _, where, found = dieted
    scores = slow_el2n(where, net)
    _, kept = kept_by(where, found, name)
    assert len(kept) == 30
    removed = sorted(set(range(120)) - set(kept))
    assert float(scores[kept].min()) >= float(scores[removed].max()) - 1e-9


def test_the_longest_inputs_are_kept(dieted):
    _, where, found = dieted
    inputs, _ = where.parts(wanted().task).train.batch(torch.arange(120))
    longest = inputs.flatten(1).norm(dim=1).argsort(descending=True)[:30]
    _, kept = kept_by(where, found, "input norm")
    assert kept == sorted(longest.tolist())


def test_each_part_is_trained_on_for_as_many_steps_from_the_same_start(dieted):
    run, where, found = dieted
    accuracies = found.tables["accuracies"]
    assert accuracies["trained_on"] == ["all", "el2n", "el2n of another", "input norm", "random"]
    assert accuracies["scored_by"] == [None, "mlp:widths=[8]", "mlp:widths=[5]", None, None]
    assert accuracies["num_examples"] == [120, 30, 30, 30, 30]
    for name in accuracies["trained_on"][1:]:
        each = where.store.find(found.values["runs"][name])
        assert each.seed == 3 and max(each.snapshots()) == max(run.snapshots()) == 18
        first, begun = (model_of(one, 0)[0].state_dict() for one in (run, each))
        assert all(torch.equal(first[key], begun[key]) for key in first)


def test_agreement_is_that_of_the_scores(dieted):
    _, where, found = dieted
    agreement = found.tables["agreement"]
    assert agreement["score"] == ["el2n of another", "input norm", "random"]
    (_, own), (_, other) = (kept_by(where, found, name) for name in ("el2n", "el2n of another"))
    assert agreement["kept_share"][0] == len(set(own) & set(other)) / 30
    ranks = [
        slow_el2n(where, MLP(widths=(width,))).argsort().argsort().double() for width in (8, 5)
    ]
    assert agreement["rank_correlation"][0] == pytest.approx(
        float(torch.corrcoef(torch.stack(ranks))[0, 1]),
        abs=0.01,  # single and batched outputs differ in the last bits
    )


def test_changed_labels_are_what_networks_err_in(tmp_path):
    """Planted: once the rest is learnt, nearly all examples with a changed label are among those kept."""
    where = context(tmp_path)
    spec = wanted(noise=0.2)
    (run,) = train(replace(spec, task=replace(spec.task, subset=tuple(range(600)))), (0,), where)
    diet = DataDiet(at=120, sparsity=0.6, num_scorers=2)
    found = diet.apply(run, where)
    kept = spec_of(where.store.find(found.values["runs"]["el2n"])).task.subset
    changed = where.parts(spec_of(run).task).train.changed.nonzero()[:, 0].tolist()
    assert len(set(changed) & set(kept)) > 0.9 * len(changed)


def test_replicas_share_neither_draws_nor_scoring_networks(dieted, tmp_path):
    _, where, found = dieted
    elsewhere = replace(where, store=Store(tmp_path / "runs"))
    (run,) = train(wanted(), (4,), elsewhere)
    again = DIET.apply(run, elsewhere)
    for name in ("el2n", "random"):
        assert kept_by(where, found, name)[1] != kept_by(elsewhere, again, name)[1]
    seeds = [
        {run.seed for run in store.runs() if spec_of(run).training.num_steps == 6}
        for store in (where.store, elsewhere.store)
    ]
    assert not seeds[0] & seeds[1]


def test_what_makes_no_diet_is_said(tmp_path):
    for settings, message in (
        ({"at": 0}, "`at` is 0; it must be at least 1"),
        ({"at": 1, "num_scorers": 0}, "`num_scorers` is 0; it must be at least 1"),
        ({"at": 1, "sparsity": 1.0}, "`sparsity` is 1"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            DataDiet(**settings)
    run, where = finished(tmp_path)
    with pytest.raises(InvalidArgument, match="learnt `stripes`, which has no `subset`"):
        DataDiet(at=2).apply(run, where)
    spec = wanted()
    spec = replace(spec, training=replace(spec.training, forks=(5,)))
    (first,) = train(spec, (0,), where)
    later = replace(spec, start=From(run=first.fingerprint, step=5))
    (run,) = train(later, (0,), where)
    with pytest.raises(InvalidArgument, match="begins in another run, which has seen all examples"):
        DataDiet(at=2).apply(run, where)
