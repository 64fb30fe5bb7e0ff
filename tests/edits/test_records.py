"""A record of edits that was not written by Surplus is refused, and changes nothing."""

import copy
import json

import pytest
import torch
from torch import nn

from surplus.base import CorruptFile, InvalidArgument
from surplus.edits import (
    Edits,
    cut,
    factorise,
    insert,
    load,
    replay_,
    save,
    sliced,
    sliced_mask,
    to_raw,
)
from surplus.masks import Mask
from surplus.store import write_bundle
from surplus.units import find_units


def network():
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))


def record():
    model = network()
    mask = Mask.full(find_units(model, torch.zeros(1, 4)))
    mask.kept["0"][1] = False
    _, edits = cut(model, mask)
    return json.loads(json.dumps(edits.to_json()))


def count(name, place=None, module="0"):
    return {"integers": [{"module": module, "name": name, "place": place, "before": 6, "after": 5}]}


FORMS = {
    "a huge interval": {"kept": [[0, 10**12]]},
    "an interval backwards": {"kept": [[3, 1]]},
    "a negative position": {"kept": [[-2, 3]]},
    "the same position twice": {"kept": [[0, 3], [1, 4]]},
    "an infinite axis": {"axis": float("inf")},
    "half an axis": {"axis": 1.5},
    "no name": {"tensor": None},
    "no size": {"size": True},
}
STEPS = {
    "a method": count("forward"),
    "a class": count("__class__"),
    "a parameter": count("weight"),
    "no such module": count("in_features", module="nowhere"),
    "no tuple": count("in_features", place=0),
    "another size": count("in_features"),
    "no numbers": {"numbers": [{"tensor": "0.weight", "size": 4, "kept": [[0, 2]]}]},
    "no tensor": {"numbers": [{"tensor": "nowhere", "size": 4, "kept": [[0, 2]]}]},
    "an axis below zero": {
        "slices": [{"tensor": "0.weight", "axis": -1, "size": 4, "kept": [[0, 2]]}]
    },
    "an axis twice": {
        "slices": 2 * [{"tensor": "0.weight", "axis": 1, "size": 4, "kept": [[0, 2]]}]
    },
}


@pytest.mark.parametrize("name", FORMS)
def test_what_is_no_record_is_refused(name):
    data = record()
    data[0]["slices"][0].update(FORMS[name])
    with pytest.raises(InvalidArgument, match="not the JSON form of a record of edits"):
        Edits.from_json(data)


@pytest.mark.parametrize(
    "data", [None, 5, "cut", {"kind": "cut"}, [1], [None], [{"kind": []}], [{"kind": "run"}]]
)
def test_data_of_another_kind_are_refused(data):
    with pytest.raises(InvalidArgument, match="not the JSON form of a record of edits"):
        Edits.from_json(data)


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_does_not_fit_changes_nothing(name):
    data = record()
    data[0].update(STEPS[name])
    model = network()
    before = copy.deepcopy(model)
    with pytest.raises(InvalidArgument, match="The edits (expect|speak)"):
        replay_(model, Edits.from_json(data))
    assert str(model) == str(before)
    assert all(map(torch.equal, model.parameters(), before.parameters()))


@pytest.mark.parametrize(("width", "kernel_size"), [(0, 1), (6, 2), (6, -3)])
def test_a_layer_that_cannot_be_is_not_inserted(width, kernel_size):
    step = {"kind": "insert", "after": "0", "layer": "conv2d", "activation": "none"}
    step |= {"width": width, "kernel_size": kernel_size, "difference": None}
    with pytest.raises(InvalidArgument, match=f"A conv2d layer of width {width} .* inserted"):
        Edits.from_json([step])


def test_if_a_later_step_does_not_fit_the_earlier_ones_are_not_made_either():
    wrong = {"kind": "factorise", "module": "0", "rank": 100, "difference": None}
    model = network()
    with pytest.raises(InvalidArgument, match="`rank` is 100"):
        replay_(model, Edits.from_json([*record(), wrong]))
    assert model[0].out_features == 6 and len(model[0].weight) == 6


@pytest.mark.parametrize("metadata", [{"edits": 5, "origin": None}, {"origin": None}])
def test_a_file_without_a_record_is_corrupt(tmp_path, metadata):
    model = network()
    tensors = {name: to_raw(each) for name, each in model.state_dict().items()}
    write_bundle(tmp_path / "model", tensors, {"kind": "model", **metadata})
    with pytest.raises(CorruptFile, match="does not say how its model was made"):
        load(tmp_path / "model", into=model)


def test_a_record_says_what_was_done(tmp_path):
    model = network()
    smaller, edits = factorise(model, find_units(model, torch.zeros(1, 4)), "0", rank=2)
    both = Edits.from_json(record()) + edits
    assert both.kinds == ("cut", "factorise")
    save(tmp_path / "model", smaller, edits)
    with pytest.raises(InvalidArgument, match="does not fit this architecture"):
        load(tmp_path / "model", into=nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 2)))


def test_a_mask_whose_units_became_others_is_refused():
    """Channels of a grouped convolution go in pairs; behind a dense layer in between they do not."""
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1, groups=2))
    model.append(nn.Conv2d(8, 2, 1))
    example = torch.randn(1, 3, 4, 4)
    units = find_units(model, example)
    deeper, first = insert(model, units, "1")
    (name, size) = next((each.name, each.size) for each in find_units(deeper, example))
    found = Mask.full(find_units(deeper, example))
    found.kept[name][0] = False
    _, second = cut(deeper, found)
    assert units[name].size != size
    with pytest.raises(InvalidArgument, match=f"The edits expect {size} units of `{name}`"):
        sliced_mask(Mask.full(units), first + second)


def test_tensors_of_another_shape_are_not_sliced():
    edits = Edits.from_json(record())
    with pytest.raises(InvalidArgument, match="The edits expect `0.weight` with 6 entries"):
        sliced({"0.weight": torch.zeros(5, 4)}, edits)
