"""Unit tickets: what the arms keep, and that they begin where the whole network began."""

import torch

from surplus.methods import Context, model_of, subject_of_run, train
from surplus.methods.unit_tickets import UnitTickets
from surplus.nets import MLP
from surplus.store import Store
from surplus.tasks import MNIST10k
from surplus.training import Spec, Training


def trained(tmp_path):
    context = Context(store=Store(tmp_path), progress=False)
    spec = Spec(
        net=MLP(widths=(8,)),
        task=MNIST10k(subset=tuple(range(640))),
        training=Training(num_steps=10, batch_size=64),
    )
    return train(spec, [0], context)[0], context


def test_the_ticket_keeps_the_largest_units_and_the_worst_the_smallest(tmp_path):
    run, context = trained(tmp_path)
    masks = UnitTickets(sparsity=0.75).masks(subject_of_run(run, context), run.seed)
    norms = model_of(run)[0].fc1.weight.norm(dim=1)
    order = norms.argsort().tolist()
    assert set(masks["ticket"].kept["fc1"].nonzero()[:, 0].tolist()) == set(order[-2:])
    assert set(masks["worst"].kept["fc1"].nonzero()[:, 0].tolist()) == set(order[:2])
    assert int(masks["random"].kept["fc1"].sum()) == 2


def test_arms_begin_at_the_initial_weights_of_what_they_keep(tmp_path):
    run, context = trained(tmp_path)
    found = UnitTickets(sparsity=0.75).apply(run, context)
    history = found.tables["history"]
    assert set(history["arm"]) == {"dense", "ticket", "random", "worst"}
    initial = model_of(run, 0)[0].fc1.weight
    for arm in ("ticket", "random", "worst"):
        each = context.store.find(found.values["runs"][arm])
        begun, mask = model_of(each, 0)
        kept = mask.kept["fc1"]
        assert int(kept.sum()) == 2
        assert torch.equal(begun.fc1.weight[kept], initial[kept])
        ended, _ = model_of(each)
        assert not ended.fc1.weight[~kept].any() and not torch.equal(
            ended.fc1.weight[kept], initial[kept]
        )
