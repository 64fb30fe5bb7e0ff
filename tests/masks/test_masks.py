import operator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from planted import TinyConv, shaken
from surplus.base import InvalidArgument
from surplus.masks import Mask, Scores, enforce, keep, on_weights
from surplus.units import find_units

BITS = st.lists(st.booleans(), min_size=5, max_size=5)
MASKS = st.builds(
    lambda a, b: Mask({"a": torch.tensor(a), "b": torch.tensor(b)}, "units"), BITS, BITS
)
SCORES = st.integers(1, 40).flatmap(
    lambda size: st.lists(st.floats(-3, 3, width=16), min_size=size, max_size=size)
)


@given(MASKS, MASKS, MASKS)
def test_masks_are_a_lattice(a, b, c):
    assert a & b == b & a
    assert a | b == b | a
    assert (a & b) & c == a & (b & c)
    assert a & (a | b) == a
    assert a | (a & b) == a
    assert ~~a == a
    assert ~(a & b) == ~a | ~b
    assert (a & b) <= a <= (a | b)
    assert (a <= b) == (a & b == a)


@given(MASKS)
def test_masks_survive_json_and_count_themselves(mask):
    again = Mask.from_json(mask.to_json())
    assert again == mask
    assert hash(again) == hash(mask)
    assert mask.num_kept + (~mask).num_kept == mask.size == 10
    assert mask.sparsity + mask.density == pytest.approx(1)


def test_what_a_mask_does_not_speak_of_it_keeps():
    a = Mask({"a": torch.tensor([True, False])}, "units")
    b = Mask({"b": torch.tensor([False, True])}, "units")
    assert {name: kept.tolist() for name, kept in (a & b).kept.items()} == {
        "a": [True, False],
        "b": [False, True],
    }
    assert (a | b).num_kept == 4
    assert (a & b) <= a


@given(SCORES, st.floats(0, 0.999))
def test_the_asked_sparsity_is_met_within_one_element(values, sparsity):
    scores = Scores({"fc": torch.tensor(values)}, "units")
    mask = keep(scores, sparsity)
    removed = len(values) - mask.num_kept
    assert abs(removed - sparsity * len(values)) <= 1
    assert mask.num_kept >= 1
    kept, gone = scores.values["fc"][mask.kept["fc"]], scores.values["fc"][~mask.kept["fc"]]
    assert not len(gone) or kept.min() >= gone.max() or len(kept) == 1


@given(SCORES, st.floats(0, 0.9), st.floats(0, 0.9))
def test_a_second_round_only_removes(values, first, second):
    scores = Scores({"fc": torch.tensor(values)}, "units")
    shuffled = scores.map(lambda each: each[torch.randperm(len(each))])
    before = keep(scores, first)
    after = keep(shuffled, second, among=before)
    assert after <= before


@given(SCORES, SCORES, st.floats(0, 0.95))
def test_over_the_whole_model_no_layer_is_emptied(one, two, sparsity):
    scores = Scores({"a": torch.tensor(one), "b": torch.tensor(two)}, "units")
    mask = keep(scores, sparsity, within="model")
    total = len(one) + len(two)
    assert mask.kept["a"].any() and mask.kept["b"].any()
    removed = min(round(sparsity * total), total - 2)
    assert total - mask.num_kept == removed


def test_over_the_whole_model_scores_are_compared_across_layers():
    scores = Scores({"a": torch.tensor([1.0, 2.0, 3.0]), "b": torch.tensor([10.0, 20.0])}, "units")
    mask = keep(scores, 0.4, within="model")
    assert mask.kept["a"].tolist() == [False, False, True]
    assert mask.kept["b"].all()


def test_equal_scores_go_in_order_and_by_exact_count():
    mask = keep(Scores({"fc": torch.zeros(10)}, "units"), 0.3)
    assert mask.kept["fc"].tolist() == [False] * 3 + [True] * 7


def test_weights_can_all_go_but_units_cannot():
    values = {"w": torch.rand(3, 4)}
    assert keep(Scores(values, "weights"), 0.99).num_kept == 0
    assert keep(Scores({"fc": torch.rand(12)}, "units"), 0.99).num_kept == 1


@pytest.mark.message
@pytest.mark.parametrize(
    ("sparsity", "message"),
    [
        (80, r"`sparsity` is 80; it must lie in \[0, 1\): .* For 80 percent pass 0.8."),
        (1, "Removing everything leaves no network."),
        (-0.3, r"`sparsity` is -0.3; it must lie in \[0, 1\)"),
        (float("nan"), "`sparsity` is nan"),
    ],
)
def test_a_sparsity_out_of_range_is_refused(sparsity, message):
    with pytest.raises(InvalidArgument, match=message):
        keep(Scores({"fc": torch.rand(4)}, "units"), sparsity)


@pytest.mark.message
def test_a_wrong_scope_is_refused():
    with pytest.raises(InvalidArgument, match='`within` is .*; it must be "layer" or "model"'):
        keep(Scores({"fc": torch.rand(4)}, "units"), 0.5, within="network")


def test_nan_scores_are_named():
    with pytest.raises(InvalidArgument, match="Taylor gave NaN for 1 of 3 elements of `fc`"):
        Scores({"fc": torch.tensor([1.0, float("nan"), 2.0])}, "units", by="Taylor")


@pytest.mark.message
def test_masks_of_other_models_are_refused(mlp, example):
    units = find_units(mlp, example)
    with pytest.raises(InvalidArgument, match=r"has shape \(3,\), but the layer has 8 units"):
        Mask({"0": torch.ones(3, dtype=torch.bool)}, "units", units)
    with pytest.raises(InvalidArgument, match="must be Boolean"):
        Mask({"0": torch.ones(8)}, "units", units)
    with pytest.raises(
        InvalidArgument,
        match=r"The masks differ in shape at `a`: \(2,\) and \(3,\)\. They belong to different models",
    ):
        Mask({"a": torch.ones(2, dtype=torch.bool)}, "units") & Mask(
            {"a": torch.ones(3, dtype=torch.bool)}, "units"
        )
    weights = Mask({"0.weight": torch.ones(8, 6, dtype=torch.bool)}, "weights")
    for combine in (operator.and_, operator.or_, operator.le):
        with pytest.raises(
            InvalidArgument, match="A mask over units does not combine with one over weights"
        ):
            combine(Mask.full(units), weights)
    with pytest.raises(InvalidArgument, match="was not bound"):
        enforce(mlp, Mask({"0": torch.ones(8, dtype=torch.bool)}, "units"))
    with pytest.raises(InvalidArgument, match="the model has no such parameter"):
        enforce(mlp, Mask({"fc.weight": torch.ones(8, dtype=torch.bool)}, "weights"))


@pytest.mark.message
def test_broken_json_is_refused():
    for data in (
        {},
        {"over": "units", "kept": {"a": {"shape": [9], "bits": "ff"}}},
    ):
        with pytest.raises(InvalidArgument, match="not the JSON form of a mask"):
            Mask.from_json(data)
    with pytest.raises(InvalidArgument, match='`over` is \'x\'; it must be "units" or "weights"'):
        Mask.from_json({"over": "x", "kept": {}})


def test_what_another_layer_lost_before_stays_lost(mlp, example):
    units = find_units(mlp, example)
    among = Mask.full(units)
    among.kept["2"][:2] = False
    only = Scores({"0": torch.arange(8.0)}, "units", units)
    mask = keep(only, 0.5, among=among)
    assert mask <= among
    assert mask.kept["0"].tolist() == [False] * 4 + [True] * 4
    with pytest.raises(InvalidArgument, match="A mask over units does not combine"):
        keep(only, 0.5, among=Mask({"0.weight": torch.ones(8, 6, dtype=torch.bool)}, "weights"))


def test_a_removed_nan_is_gone(mlp, example):
    mask = Mask.full(find_units(mlp, example))
    mask.kept["0"][2] = False
    with torch.no_grad():
        mlp[0].weight[2] = float("nan")
    assert not enforce(mlp, mask)(example).isnan().any()


def test_a_removed_unit_emits_nothing_whatever_its_activation(mlp, example):
    """With tanh(0 + bias) or a sigmoid a silent input is not enough: the outgoing weights must go too."""
    units = find_units(mlp, example)
    mask = Mask.full(units)
    mask.kept["0"][[1, 4]] = False
    mask.kept["2"][0] = False
    masked = enforce(mlp, mask)
    for name, rows, columns in (("0", [1, 4], "2"), ("2", [0], "4")):
        layer, reader = masked.get_submodule(name), masked.get_submodule(columns)
        assert not layer.weight[rows].any() and not layer.bias[rows].any()
        assert not reader.weight[:, rows].any()
    untouched = sum(
        int((a != b).sum()) for a, b in zip(masked.parameters(), mlp.parameters(), strict=True)
    )
    expected = sum(int((~kept).sum()) for kept in on_weights(mlp, mask).values())
    assert untouched == expected


def test_normalisation_goes_with_its_filter():
    model = shaken(TinyConv().build((1, 4, 4), 3, seed=0))
    units = find_units(model, torch.randn(2, 1, 4, 4, dtype=torch.float64))
    mask = Mask.full(units, ("conv1",))
    mask.kept["conv1"][2] = False
    masked = enforce(model, mask)
    assert masked.bn1.weight[2] == 0 and masked.bn1.bias[2] == 0
    assert masked.bn1.running_var[2] == model.bn1.running_var[2]
