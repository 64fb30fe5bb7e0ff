"""`measure` on data and weights that are not what a measure would like: each says so, and none falls over."""

import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torch.utils.data import DataLoader, TensorDataset

import surplus as sp
from surplus.base import InvalidArgument, UnknownName, members
from surplus.masks import Mask
from surplus.measures import Measure
from surplus.measures.verdict import verdict

NEED_LABELS = ("removable-units", "low-rank-accuracy", "norm-measures", "neural-collapse")


def mlp(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def data(num_examples=40):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(num_examples, 6, generator=generator)
    targets = torch.randint(0, 3, (num_examples,), generator=generator)
    return list(zip(inputs.split(16), targets.split(16), strict=True))


def ask(name, model, batches, **more):
    kind = members(Measure)[name]
    return sp.measure(model, batches, by=kind(), **more)


def notes(table):
    return " ".join(str(note) for note in table["note"] if note)


@pytest.mark.parametrize("name", [*NEED_LABELS, "curvature", "coherence", "repeated-units"])
@pytest.mark.parametrize("shift", [5, -2])
def test_labels_without_an_output_are_a_reason(name, shift):
    table = ask(name, mlp(), [(inputs, targets + shift) for inputs, targets in data()])
    if shift < 0 or name not in ("repeated-units",):
        assert "label" in notes(table)


def test_a_negative_label_in_a_later_batch_leaves_no_class_sums_of_the_others():
    batches = data()
    batches[-1][1][0] = -1
    table = ask("repeated-units", mlp(), batches)
    values = table.where(quantity="mean_selectivity")["value"]
    assert values[:2] == [None, None]


def test_labels_that_are_identifiers_take_no_memory():
    batches = [(inputs, targets + 2**40) for inputs, targets in data()]
    assert "not class labels" in notes(ask("repeated-units", mlp(), batches))


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8], ids=str)
@pytest.mark.parametrize("name", [*NEED_LABELS, "curvature", "coherence", "el2n"])
def test_labels_of_any_whole_type_give_the_same_numbers(name, dtype):
    other = ask(name, mlp(), [(inputs, targets.to(dtype)) for inputs, targets in data()])
    assert list(other.rows()) == list(ask(name, mlp(), data()).rows())


def test_empty_batches_are_passed_over():
    empty = (torch.zeros(0, 6), torch.zeros(0, dtype=torch.int64))
    for name in ("dead-units", "neural-collapse", "el2n"):
        with_it = ask(name, mlp(), [empty, *data()])
        assert list(with_it.rows()) == list(ask(name, mlp(), data()).rows())


@pytest.mark.parametrize(
    "batches",
    [
        [(torch.zeros(4, 6), torch.zeros(3, dtype=torch.int64))],
        [(torch.zeros(4, 6), None)],
        [torch.zeros(4, 6)],
        torch.zeros(4, 6),
        [{"inputs": torch.zeros(4, 6)}],
        [(torch.zeros(0, 6), torch.zeros(0, dtype=torch.int64))],
        7,
    ],
    ids=["lengths", "none", "tensors", "tensor", "dict", "empty", "number"],
)
@pytest.mark.message
def test_what_is_no_data_is_said(batches):
    with pytest.raises(InvalidArgument, match="data"):
        ask("dead-units", mlp(), batches)


def test_a_model_without_parameters_is_said():
    with pytest.raises(InvalidArgument, match="no parameters"):
        ask("dead-units", nn.ReLU(), data())


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("name", sorted(members(Measure)))
@pytest.mark.filterwarnings("ignore:.*losses after removals")
def test_nan_and_infinite_weights_are_a_reason_or_a_number(name, value):
    model = mlp()
    with torch.no_grad():
        model[0].weight[0, 0] = value
    rows = list(ask(name, model, data(), initial=mlp(1)).rows())
    assert rows
    numbers = [row[end] for row in rows for end in ("value", "lower", "upper")]
    assert all(number is None or math.isfinite(number) for number in numbers)
    assert all(row["note"] for row in rows if row["value"] is None)


@pytest.mark.parametrize("name", ["dead-units", "repeated-units", "output-correlation"])
def test_units_that_are_nan_are_not_dead_or_constant(name):
    model = mlp()
    with torch.no_grad():
        model[0].weight[0, 0] = torch.nan
    table = ask(name, model, data())
    assert "NaN or infinite on some example" in notes(table)
    assert not [row for row in table.rows() if row["quantity"] in ("num_dead", "num_constant")]


@pytest.mark.parametrize("name", ["norm-measures", "curvature"])
def test_outputs_that_are_no_tensor_are_a_reason(name):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()

        def forward(self, x):
            return {"logits": self.inner(x)}

    assert "tensor" in notes(ask(name, Named(), data()))


@pytest.mark.parametrize("name", ["movement", "distance-from-init", "spectrum"])
def test_a_start_from_before_torch_pruned_is_found(name):
    model = mlp()
    prune.l1_unstructured(model[2], "weight", 0.5)
    table = ask(name, model, data(), initial=mlp(1))
    assert "initialisation" not in notes(table)


def test_spectra_are_of_the_weights_that_torch_pruning_leaves():
    model, plain = mlp(), mlp()
    prune.l1_unstructured(model[2], "weight", 0.5)
    with torch.no_grad():
        plain[2].weight.copy_(model[2].weight)
    pruned, whole = ([*ask("spectrum", each, data())["value"]] for each in (model, plain))
    assert pruned == whole


def test_a_start_that_lacks_weights_is_a_reason():
    table = ask("movement", mlp(), data(), initial={"0.weight": torch.zeros(8, 6)})
    assert "have no `2.weight`" in notes(table)


def test_loaders_leave_the_random_stream_as_it_was():
    inputs, targets = (torch.cat(each) for each in zip(*data(), strict=True))
    loader = DataLoader(TensorDataset(inputs, targets), batch_size=7, shuffle=True)
    model, before = mlp(), torch.get_rng_state()
    before = torch.get_rng_state()
    ask("dead-units", model, loader)
    assert torch.equal(before, torch.get_rng_state())


def test_inference_mode_hides_nothing():
    with torch.inference_mode():
        hidden = ask("cka", mlp_outside, data())
    assert list(hidden.rows()) == list(ask("cka", mlp_outside, data()).rows())


mlp_outside = mlp()


@pytest.mark.parametrize("name", ["dead-units", "norms", "removable-units", "ticket-density"])
def test_masks_of_other_models_are_refused(name):
    few, small = torch.ones(5, dtype=torch.bool), torch.ones(5, 3, dtype=torch.bool)
    for mask in (Mask({"0": few}, "units"), Mask({"0.weight": small}, "weights")):
        with pytest.raises(InvalidArgument, match="belongs to another model"):
            ask(name, mlp(), data(), mask=mask)
    with pytest.raises(UnknownName, match=r"zz\.weight"):
        ask(name, mlp(), data(), mask=Mask({"zz.weight": small}, "weights"))


@pytest.mark.message
def test_settings_of_another_kind_are_said():
    with pytest.raises(InvalidArgument, match="`mask` is a dict"):
        ask("norms", mlp(), data(), mask={"0": torch.ones(8, dtype=torch.bool)})
    with pytest.raises(InvalidArgument, match="`initial` is a str"):
        ask("norms", mlp(), data(), initial="start.pt")
    with pytest.raises(InvalidArgument, match="`part` is 'training'"):
        ask("norms", mlp(), data(), part="training")
    with pytest.raises(InvalidArgument, match="`num_examples` is 1.5"):
        ask("norms", mlp(), data(), num_examples=1.5)


@pytest.mark.parametrize("name", sorted(members(Measure)))
def test_a_start_of_another_width_is_a_reason(name):
    wider = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 3))
    assert len(ask(name, mlp(), data(), initial=wider)) > 0


def test_no_layers_leave_no_pairs():
    assert len(ask("cka", mlp(), data(), layers=[])) == 0


def test_gradients_of_single_examples_keep_no_graph():
    model = nn.LSTM(6, 4, batch_first=True)
    last = nn.Linear(4, 3)

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent, self.last = model, last

        def forward(self, x):
            return self.last(self.recurrent(x[:, None])[0][:, -1])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(ask("coherence", Recurrent(), data())) > 0


@pytest.mark.parametrize("name", ["norm-measures", "low-rank-accuracy", "curvature", "coherence"])
def test_more_outputs_than_examples_are_a_reason(name):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()

        def forward(self, x):
            return torch.cat([self.inner(x), self.inner(x)])

    assert notes(ask(name, Twice(), data()))


def test_a_verdict_speaks_of_no_pair_that_has_no_number():
    model = mlp()
    with torch.no_grad():
        model[0].weight.fill_(torch.nan)
    table = sp.measure(
        model, data(), by=[members(Measure)[name]() for name in ("cka", "coherence")]
    )
    assert "most alike" not in verdict(table)
    assert "losses of some examples are NaN" in notes(table)
