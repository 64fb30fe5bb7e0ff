import pytest
import torch
from torch import nn

import oracles.removals as oracle
from planted import Stripes
from running import finished
from surplus.base import InvalidArgument
from surplus.edits import StandIns, merge
from surplus.masks import Mask
from surplus.methods import Ablation, Merging, model_of, units_of
from surplus.methods.merging import carried_by, hand_overs
from surplus.methods.subject import Subject
from surplus.passes import TakingOver, performance
from surplus.scores import Magnitude
from surplus.training import example_of
from surplus.units import find_units

LAYERS = {"mlp": ("fc1", "fc2"), "conv": ("conv2", "fc1")}  # those without a batch norm


@pytest.fixture(scope="module", params=LAYERS)
def trained(request, tmp_path_factory):
    return finished(tmp_path_factory.mktemp(request.param), net=request.param, num_steps=24)


def layers_of(run):
    return LAYERS["conv" if "conv2.weight" in model_of(run)[0].state_dict() else "mlp"]


@pytest.fixture(scope="module")
def curves(trained):
    run, where = trained
    method = Merging(num_points=3, scores=(Magnitude(),), layers=layers_of(run))
    return method.apply(run, where).tables["curves"]


def repeated(batch_norm=False):
    """Return a classifier of which half of the units are others times two, and one of the rest is nothing."""
    torch.manual_seed(1)
    first, second = nn.Linear(16, 8), nn.Linear(8, 3)
    with torch.no_grad():
        first.weight[4:] = 2 * first.weight[:4]
        first.bias[4:] = 2 * first.bias[:4]
    between = [nn.BatchNorm1d(8)] if batch_norm else []
    return nn.Sequential(nn.Flatten(), first, *between, nn.ReLU(), second).eval()


def subject_of(model):
    parts = Stripes().load()
    return Subject(model=model, units=find_units(model, example_of(parts)), parts=parts)


def merging_rows(model, **settings):
    method = Merging(**settings)
    subject = subject_of(model)
    (name,) = subject.units.names(None)
    return list(method._layer(subject, name))


def test_repeated_units_cost_nothing_when_merged_and_something_when_dropped():
    model = repeated()
    whole = performance(model, Stripes().load().test)
    rows = merging_rows(model, num_points=8, taken_over=("nothing", "nearest"))
    merged = [
        each for each in rows if (each["order"], each["taken_over"]) == ("similarity", "nearest")
    ]
    dropped = [
        each for each in rows if (each["order"], each["taken_over"]) == ("similarity", "nothing")
    ]
    assert [each["num_removed"] for each in merged] == list(range(8))
    for each in merged[:5]:
        assert each["test_loss"] == pytest.approx(whole.loss, abs=1e-5)
    assert merged[4]["cosine"] == pytest.approx(1, abs=1e-6)
    assert merged[5]["cosine"] < 0.99
    assert abs(dropped[4]["test_loss"] - whole.loss) > 1e-3


def test_the_smaller_of_two_repeated_units_goes_first():
    done = hand_overs(torch.tensor([[2.0, 0], [0, 1], [1, 0], [3, 0]]), torch.ones(4).bool())
    assert [(each.unit, each.partner) for each in done[:2]] == [(2, 0), (0, 3)]
    assert done[1].factor == pytest.approx(2 / 3)


def test_work_is_handed_on_when_its_carrier_goes():
    done = hand_overs(torch.tensor([[2.0, 0], [0, 1], [1, 0], [3, 0]]), torch.ones(4).bool())
    work = carried_by(4, done[:2])
    assert work[2].tolist() == pytest.approx([0, 0, 0, 1 / 3])
    assert work[0].tolist() == pytest.approx([0, 0, 0, 2 / 3])
    assert work[1].tolist() == [0, 1, 0, 0]


def test_the_nearest_is_the_one_that_a_loop_over_all_pairs_finds():
    torch.manual_seed(0)
    vectors = torch.randn(7, 3)
    kept = torch.ones(7).bool()
    kept[4] = False
    left = [0, 1, 2, 3, 5, 6]
    for each in hand_overs(vectors, kept):
        pairs = [
            (float(torch.cosine_similarity(vectors[a], vectors[b], dim=0)), a, b)
            for a in left
            for b in left
            if a < b
        ]
        cosine, a, b = max(pairs)
        goes = min((a, b), key=lambda unit: float(vectors[unit].norm()))
        assert each.unit == goes and each.cosine == pytest.approx(cosine, abs=1e-6)
        assert each.partner == (a + b - goes if cosine > 0 else None)
        left.remove(goes)


@torch.no_grad()
def test_judging_is_what_the_merged_network_gives(trained):
    run, where = trained
    model, _ = model_of(run)
    units = units_of(run, model, where)
    test = where.parts(Stripes()).test
    for name in units.names(None):
        size = units[name].size
        kept = torch.ones(size).bool()
        kept[[0, size - 1]] = False
        given = StandIns(coefficients=torch.randn(2, size - 2).double())
        judge = TakingOver(model, units, name, test)
        smaller, _ = merge(model, Mask({name: kept}, "units", units), {name: given}, verify=False)
        expected = performance(smaller, test)
        for _ in range(2):  # what was judged before leaves nothing behind
            found = judge.performance(kept, given)
            assert found.loss == pytest.approx(expected.loss, abs=1e-5)
            assert found.num_correct == expected.num_correct


def test_where_there_is_no_chain_the_merged_network_itself_is_judged(tmp_path):
    run, where = finished(tmp_path, net="residual", num_steps=6)
    model, _ = model_of(run)
    units = units_of(run, model, where)
    test = where.parts(Stripes()).test
    name = next(
        each for each in units.names(None) if units[each].met is None and units[each].size > 2
    )
    size = units[name].size
    kept = torch.ones(size).bool()
    kept[1] = False
    nothing = StandIns(coefficients=torch.zeros(1, size - 1))
    found = TakingOver(model, units, name, test).performance(kept, nothing)
    losses, correct = oracle.curve(model, units, name, list(test), [1])
    assert (found.loss, found.num_correct) == (pytest.approx(losses[1], abs=1e-5), correct[1])


def test_with_nothing_taken_over_it_is_the_ablation(trained, curves):
    run, where = trained
    known = Ablation(scores=(Magnitude(),), remove=("lowest",)).apply(run, where).tables["curves"]
    for row in curves.where(order="magnitude", taken_over="nothing").rows():
        same = known.where(layer=row["layer"], num_removed=row["num_removed"])
        assert same["test_accuracy"] == [row["test_accuracy"]]
        assert same["validation_loss"] == [pytest.approx(row["validation_loss"], abs=1e-5)]


def test_curves_are_tidy_and_complete(curves):
    assert set(curves["order"]) == {"similarity", "magnitude"}
    for layer in set(curves["layer"]):
        for how in ("nothing", "nearest", "fitted"):
            curve = curves.where(layer=layer, order="similarity", taken_over=how)
            assert curve["num_removed"][0] == 0 and len(curve) == 3
    whole = curves.where(num_removed=0)
    assert len(set(whole["test_accuracy"])) == 1


def test_fitting_never_does_worse_on_its_examples_than_the_nearest():
    """In the squared difference of what the next layer receives, which is what is fitted."""
    subject = subject_of(repeated())
    rows = merging_rows(subject.model, num_points=8, taken_over=("fitted",))
    whole = performance(subject.model, subject.parts.validation)
    exact = [each for each in rows if each["order"] == "similarity"][:5]
    assert [each["validation_loss"] for each in exact] == pytest.approx([whole.loss] * 5, abs=1e-4)


def test_normalised_units_are_refused():
    with pytest.raises(InvalidArgument, match="carry 5 numbers besides their weights"):
        merging_rows(repeated(batch_norm=True))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"taken_over": ()}, r"it takes some of nothing, nearest, fitted"),
        ({"taken_over": ("all",)}, r"`taken_over` is \('all',\)"),
        ({"num_points": 1}, "`num_points` is 1; it must be at least 2."),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(InvalidArgument, match=message):
        Merging(**settings)


def test_a_sample_of_the_examples_is_the_same_each_time(trained):
    run, where = trained
    some = Ablation(scores=(Magnitude(),), num_examples=20)
    curves = some.apply(run, where).tables["curves"]
    assert {round(each * 20, 9) % 1 for each in curves["test_accuracy"]} == {0}
    merging = Merging(num_points=2, num_examples=20, taken_over=("nothing",), layers=layers_of(run))
    merged = merging.apply(run, where)
    first = merged.tables["curves"].where(order="magnitude", num_removed=0)
    for layer, accuracy in zip(first["layer"], first["test_accuracy"], strict=True):
        known = curves.where(layer=layer, remove="lowest", num_removed=0)
        assert known["test_accuracy"] == [accuracy]
    with pytest.raises(InvalidArgument, match="`num_examples` is 0"):
        Ablation(num_examples=0).apply(run, where)
