import dataclasses
import statistics

import pytest
import torch
from torch import nn

import oracles.removals as oracle
from planted import Stripes, TinyMLP
from running import context, finished, record, same, spec
from surplus.base import InvalidArgument, Table, UnknownName
from surplus.edits import load
from surplus.masks import Mask, enforce
from surplus.methods import (
    Ablation,
    Context,
    Cutting,
    Geometry,
    ScheduledPruning,
    address,
    model_of,
    spec_of,
    subject_of_bundle,
    subject_of_run,
    train,
    train_all,
    units_of,
)
from surplus.methods.choosing import best_order
from surplus.methods.cutting import write_cut
from surplus.methods.subject import Subject
from surplus.passes import performance
from surplus.passes.geometry import frame_potential
from surplus.scores import FramePotential, LeaveOneOutLoss, Magnitude, Random, Taylor
from surplus.training import From, example_of
from surplus.training.interventions import Pruning
from surplus.units import find_units


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("trained"), num_steps=48)


@pytest.fixture(scope="module")
def halved(tmp_path_factory):
    """Return a run that lost half of its first layer in training."""
    where = context(tmp_path_factory.mktemp("halved"))
    wanted = dataclasses.replace(spec(), interventions=(Pruning(sparsity=0.5, layers=("fc1",)),))
    (run,) = train(wanted, (0,), where)
    return run, where


@pytest.fixture(scope="module")
def curves(trained):
    run, where = trained
    scores = (Magnitude(), FramePotential(), Random(), LeaveOneOutLoss(), Taylor())
    return Ablation(scores=scores, repeats=3).apply(run, where).tables["curves"]


def test_a_run_gives_back_its_spec_and_its_network(trained):
    run, where = trained
    assert spec_of(run) == spec(num_steps=48)
    model, mask = model_of(run)
    assert mask is None and not model.training
    final = run.series("evaluation")[-1].values
    assert performance(model, where.parts(Stripes()).test).accuracy == final["test_accuracy"]
    assert same(model_of(run, 0)[0], TinyMLP().build((1, 4, 4), 3, seed=0))
    with pytest.raises(UnknownName, match="has no snapshot at step 7. It has: 0, 6, 12"):
        model_of(run, 7)


def test_curves_are_tidy_and_complete(curves):
    assert curves.units == {"validation_loss": "nats", "test_loss": "nats"}
    orders = set(
        zip(curves["layer"], curves["score"], curves["remove"], curves["repeat"], strict=True)
    )
    # two layers; four criteria in two directions, and three random draws in one
    assert len(orders) == 2 * (4 * 2 + 3)
    for layer, score, remove, repeat in orders:
        curve = curves.where(layer=layer, score=score, remove=remove, repeat=repeat)
        size = {"fc1": 8, "fc2": 6}[layer]
        assert curve["num_removed"] == list(range(size + 1))
        assert sorted(curve["unit"][1:]) == list(range(size))
        assert curve["unit"][0] is None
        assert curve["frame_potential"][-1] == pytest.approx(0)


def test_every_point_of_a_curve_is_what_masking_gives(trained, curves):
    run, where = trained
    model, _ = model_of(run)
    units = units_of(run, model, where)
    parts = where.parts(Stripes())
    chosen = curves.where(layer="fc1", score="frame-potential", remove="highest")
    for part in ("validation", "test"):
        losses, correct = oracle.curve(
            model, units, "fc1", list(getattr(parts, part)), chosen["unit"][1:]
        )
        assert chosen[f"{part}_accuracy"] == [count / 60 for count in correct]
        assert chosen[f"{part}_loss"] == pytest.approx(losses, abs=1e-6)
    kept = torch.ones(8, dtype=torch.bool)
    kept[chosen["unit"][1:4]] = False
    expected = frame_potential(units.weight_vectors("fc1"), kept)
    assert chosen["frame_potential"][3] == pytest.approx(expected)


def test_the_oracle_order_beats_random_where_it_is_greedy(curves):
    """Exact leave-one-out takes, at its first removal, the unit whose loss on validation is least."""
    lowest = curves.where(layer="fc1", score="leave-one-out-loss", remove="lowest", num_removed=1)
    every = [
        loss
        for remove in ("lowest", "highest")
        for score in ("magnitude", "random", "frame-potential")
        for loss in curves.where(layer="fc1", score=score, remove=remove, num_removed=1)[
            "validation_loss"
        ]
    ]
    assert lowest["validation_loss"][0] <= min(every) + 1e-9
    highest = curves.where(layer="fc1", score="leave-one-out-loss", remove="highest", num_removed=1)
    assert highest["validation_loss"][0] >= max(every) - 1e-9


def test_random_orders_differ_from_draw_to_draw(curves):
    drawn = [
        tuple(curves.where(layer="fc1", score="random", repeat=repeat)["unit"])
        for repeat in range(3)
    ]
    assert len(set(drawn)) == 3


def test_results_are_kept_and_not_computed_again(trained, monkeypatch):
    run, where = trained
    first = Ablation(layers=("fc2",), repeats=2).apply(run, where)
    monkeypatch.setattr(Ablation, "compute", lambda *_: pytest.fail("computed again"))
    again = Ablation(layers=("fc2",), repeats=2).apply(run, where)
    assert again.tables["curves"].columns == first.tables["curves"].columns
    assert run.status().state == "complete" and run.problems() == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": ("fc9",)}, "There is no layer called `fc9`. Did you mean"),
        ({"layers": ("fc3",)}, "cannot be removed: they are the outputs"),
    ],
)
def test_layers_that_do_not_serve_are_refused(trained, settings, message):
    run, where = trained
    with pytest.raises((UnknownName, InvalidArgument), match=message):
        Ablation(**settings).apply(run, where)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scores": ()}, "An ablation needs at least one criterion and one direction."),
        ({"remove": ()}, "An ablation needs at least one criterion and one direction."),
        ({"repeats": 0}, "`repeats` is 0; it must be at least 1."),
    ],
)
def test_an_ablation_without_content_is_refused(settings, message):
    with pytest.raises(InvalidArgument, match=f"^{message}$"):
        Ablation(**settings)


def test_the_best_order_is_chosen_on_validation():
    rows = []
    for score, remove, validation, test in (
        ("magnitude", "lowest", 0.8, 0.1),
        ("frame-potential", "lowest", 0.7, 0.9),
        ("random", "lowest", 0.9, 0.9),
    ):
        for removed in range(3):
            rows.append(
                {
                    "layer": "fc1",
                    "score": score,
                    "remove": remove,
                    "repeat": 0,
                    "num_removed": removed,
                    "validation_accuracy": validation,
                    "validation_loss": 1.0,
                    "test_accuracy": test,
                }
            )
    choice = best_order(Table.from_rows(rows), {"fc1": 1})
    assert choice == ("magnitude", "lowest", 0.8, 1.0)
    with pytest.raises(InvalidArgument, match="no criterion but random"):
        best_order(Table.from_rows(rows).where(score="random"), {"fc1": 1})


def test_one_criterion_with_two_settings_gives_two_curves(trained):
    run, where = trained
    scores = (Magnitude(), Magnitude(power=1))
    curves = Ablation(layers=("fc1",), scores=scores).apply(run, where).tables["curves"]
    assert set(curves["score"]) == {"magnitude", "magnitude:power=1"}
    assert len(curves.where(score="magnitude", remove="lowest")) == 9
    with pytest.raises(
        InvalidArgument, match="`scores` names something twice: magnitude, magnitude"
    ):
        Ablation(scores=(Magnitude(), Magnitude()))
    with pytest.raises(InvalidArgument, match="`layers` names something twice: fc1, fc1"):
        Ablation(layers=("fc1", "fc1"))
    with pytest.raises(InvalidArgument, match="`remove` names something twice"):
        Ablation(remove=("lowest", "lowest"))
    with pytest.raises(InvalidArgument, match="holds `random` twice; `repeats` says how often"):
        Ablation(scores=(Random(), Random(seed=1)))


def test_a_cut_lies_on_its_curve(trained, curves, tmp_path):
    run, where = trained
    cutting = Cutting(sparsity=0.5, layers=("fc1",))
    comparison = cutting.apply(run, where).tables["comparison"]
    point = curves.where(layer="fc1", score="magnitude", remove="lowest", num_removed=4)
    _, masked, small = comparison.rows()
    assert masked["test_accuracy"] == small["test_accuracy"] == point["test_accuracy"][0]
    assert small["num_parameters"] == 16 * 4 + 4 + 4 * 6 + 6 + 6 * 3 + 3
    subject = subject_of_run(run, where)
    _, edits, _ = cutting.cut(subject)
    write_cut(subject, edits, tmp_path / "small.safetensors")
    again = load(tmp_path / "small.safetensors").eval()
    assert performance(again, where.parts(Stripes()).test).accuracy == small["test_accuracy"]
    bundled = subject_of_bundle(tmp_path / "small.safetensors", where)
    curve = Ablation(layers=("fc1",), remove=("lowest",)).curves(bundled)
    assert curve["test_accuracy"][0] == small["test_accuracy"]
    assert len(curve.where(score="magnitude")) == 5


def test_a_network_with_coupled_units_is_compared_with_what_its_cut_has_to_equal():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.LayerNorm(8), nn.Linear(8, 3)).eval()
    parts = Stripes().load()
    subject = Subject(model=model, units=find_units(model, example_of(parts)), parts=parts)
    _, _, comparison = Cutting(sparsity=0.5).cut(subject)
    assert comparison.where(network="cut")["difference_to_masked"][0] < 1e-5


def test_what_was_pruned_in_training_is_cut_as_well(halved):
    run, where = halved
    smaller, edits, _ = Cutting(sparsity=0.5, layers=("fc2",)).cut(subject_of_run(run, where))
    assert (smaller.fc1.out_features, smaller.fc2.out_features) == (4, 3)
    assert [kept.layer for kept in edits.steps[0].units] == ["fc2", "fc1"]


@pytest.mark.parametrize(("sparsity", "left"), [(0.25, 4), (0.5, 4), (0.75, 2), (0.99, 1)])
def test_what_was_pruned_in_training_counts_towards_the_sparsity(halved, sparsity, left):
    subject = subject_of_run(*halved)
    mask = Cutting(sparsity=sparsity, layers=("fc1",)).mask(subject)
    assert mask.num_kept == left
    assert mask <= subject.mask


def test_geometry_follows_the_weights(trained):
    run, where = trained
    tables = Geometry().apply(run, where).tables
    model, _ = model_of(run, 12)
    rows = tables["potentials"].where(step=12, layer="fc1")
    weight = model.fc1.weight.detach()
    assert rows["frame_potential"][0] == pytest.approx(frame_potential(weight))
    assert rows["least"][0] <= rows["frame_potential"][0] <= rows["greatest"][0]
    norms = tables["norms"].where(step=12, layer="fc1")["norm"]
    assert norms == pytest.approx(weight.norm(dim=1).tolist())


def test_geometry_leaves_out_pruned_units(halved):
    run, where = halved
    tables = Geometry().apply(run, where).tables
    rows = tables["potentials"].where(step=24, layer="fc1")
    assert rows["num_units"] == [4]
    model, mask = model_of(run)
    kept = mask.kept["fc1"]
    assert rows["frame_potential"][0] == pytest.approx(
        frame_potential(model.fc1.weight.detach()[kept])
    )


def test_a_pruned_run_is_ablated_from_what_is_left(halved):
    run, where = halved
    model, mask = model_of(run)
    curve = Ablation(layers=("fc1",), remove=("lowest",)).apply(run, where).tables["curves"]
    magnitude = curve.where(score="magnitude")
    assert magnitude["num_removed"] == [0, 1, 2, 3, 4]
    left = mask.kept_index("fc1").tolist()
    assert sorted(magnitude["unit"][1:]) == left
    final = run.series("evaluation")[-1].values
    assert magnitude["test_accuracy"][0] == final["test_accuracy"]
    norms = model.fc1.weight.detach().norm(dim=1)
    assert magnitude["unit"][1] == min(left, key=lambda unit: float(norms[unit]))


def test_a_fork_that_removes_nothing_is_the_parent_bit_for_bit(tmp_path):
    where = context(tmp_path)
    parent = spec(optimizer="adam", forks=(12,))
    (run,) = train(parent, (0,), where)
    fork = dataclasses.replace(spec(optimizer="adam"), start=From(run=address(parent), step=12))
    (forked,) = train(fork, (0,), where)
    assert forked.status() == ("complete", 24)
    for step in (12, 18, 24):
        assert same(model_of(run, step)[0], model_of(forked, step)[0])
    assert [e.step for e in forked.series("evaluation")] == [12, 24]


def test_a_fresh_optimizer_is_asked_for_by_name(tmp_path):
    where = context(tmp_path)
    run, _ = finished(tmp_path, optimizer="adam")
    start = From(run=run.fingerprint, step=12)
    with pytest.raises(
        UnknownName, match="keeps no checkpoint at step 12.*Name the step in `Training.forks`"
    ):
        train(dataclasses.replace(spec(optimizer="adam"), start=start), (0,), where)
    start = dataclasses.replace(start, optimizer=False)
    (fork,) = train(dataclasses.replace(spec(optimizer="adam"), start=start), (0,), where)
    assert same(model_of(fork, 12)[0], model_of(run, 12)[0])
    assert not same(model_of(fork, 24)[0], model_of(run, 24)[0])


def test_a_start_that_is_not_there_is_named(tmp_path):
    start = From(run="0" * 16, step=3)
    with pytest.raises(UnknownName, match="is not in .* Train it first"):
        train(dataclasses.replace(spec(), start=start), (0,), context(tmp_path))


def test_a_run_begins_from_another_with_a_mask(tmp_path):
    where = context(tmp_path)
    run, _ = finished(tmp_path)
    mask = Mask({"fc1": torch.tensor([True, False] * 4)}, "units")
    start = From(run=run.fingerprint, step=24, mask=mask)
    longer = spec(num_steps=48)
    (ticket,) = train(dataclasses.replace(longer, start=start), (0,), where)
    model, found = model_of(ticket)
    assert found == mask
    assert not model.fc1.weight[1::2].any() and model.fc1.weight[::2].any(1).all()
    parent = model_of(run)[0]
    bound = mask.bind(units_of(run, parent, where))
    assert same(model_of(ticket, 24)[0], enforce(parent, bound))


def test_a_run_begins_from_a_cut_network_with_its_optimizer(tmp_path):
    """Cut training is masked training: the cut network goes on exactly as the masked one."""
    from surplus.edits import cut

    where = context(tmp_path)
    run, _ = finished(tmp_path, optimizer="adam")
    model, _ = model_of(run)
    mask = Mask({"fc1": torch.tensor([True, True, False, True] * 2)}, "units")
    _, edits = cut(model, mask.bind(units_of(run, model, where)))
    longer = spec(optimizer="adam", num_steps=48)
    masked, small = train_all(
        [
            (dataclasses.replace(longer, start=From(run=run.fingerprint, step=24, mask=mask)), 0),
            (dataclasses.replace(longer, start=From(run=run.fingerprint, step=24, edits=edits)), 0),
        ],
        where,
    )
    cut_model = model_of(small)[0]
    assert cut_model.fc1.out_features == 6
    inputs, _ = where.parts(Stripes()).test.batch(torch.arange(30))
    torch.testing.assert_close(cut_model(inputs), model_of(masked)[0](inputs), rtol=1e-4, atol=1e-4)
    assert small.series("train")[-1].values["loss"] == pytest.approx(
        masked.series("train")[-1].values["loss"], rel=1e-4
    )


def test_scheduled_pruning_trains_forks_beside_controls(tmp_path):
    where = context(tmp_path)
    run, _ = finished(tmp_path)
    method = ScheduledPruning(at=(0, 12), sparsity=0.5, layers=("fc1",))
    result = method.apply(run, where)
    history = result.tables["history"]
    assert list(dict.fromkeys(history["arm"])) == [
        "unpruned",
        "pruned at 0",
        "pruned at 12",
        "random at start",
    ]
    assert history.where(arm="pruned at 12")["step"] == [12, 24]
    runs = {name: where.store.find(each) for name, each in result.values["runs"].items()}
    assert same(model_of(runs["unpruned"])[0], model_of(run)[0])
    for name in ("pruned at 0", "pruned at 12", "random at start"):
        model, mask = model_of(runs[name])
        assert mask.sparsity == 0.5
        assert int((~model.fc1.weight.any(1)).sum()) == 4
    with pytest.raises(InvalidArgument, match="`at` is \\(\\); it takes at least one step"):
        ScheduledPruning(at=(), sparsity=0.5)


def test_forks_share_their_batches_with_the_unpruned_network(tmp_path):
    """With nothing removed, every arm but the random one is the unpruned network."""
    where = context(tmp_path)
    run, _ = finished(tmp_path)
    result = ScheduledPruning(at=(6, 12), sparsity=0.0, layers=("fc1",)).apply(run, where)
    runs = {name: where.store.find(each) for name, each in result.values["runs"].items()}
    final = model_of(run)[0]
    for name in ("unpruned", "pruned at 6", "pruned at 12"):
        for mine, theirs in zip(
            model_of(runs[name])[0].parameters(), final.parameters(), strict=True
        ):
            assert torch.equal(mine, theirs)


def test_replicas_with_a_seed_each(tmp_path):
    where = context(tmp_path)
    runs = train(spec(), (0, 1, 2), where)
    assert [run.seed for run in runs] == [0, 1, 2]
    assert len({run.fingerprint for run in runs}) == 1
    losses = [run.series("train")[-1].values["loss"] for run in runs]
    assert statistics.stdev(losses) > 0
    (alone,) = train(spec(), (1,), context(tmp_path / "alone"))
    assert record(alone) == record(runs[1])


def test_an_unknown_device_is_refused():
    with pytest.raises(InvalidArgument, match='`device` is "gpu"; use "cpu" or "cuda"'):
        Context(device="gpu").torch_device()
    if not torch.cuda.is_available():
        with pytest.raises(InvalidArgument, match="torch sees no CUDA device here"):
            Context(device="cuda").torch_device()


def test_threads_are_given_back(tmp_path):
    torch.set_num_threads(1)
    finished(tmp_path)
    with dataclasses.replace(context(tmp_path), threads=2).threaded():
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 1
