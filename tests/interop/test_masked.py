"""A masked model is not exported as if it were smaller."""

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import surplus as sp
from surplus.base import InvalidArgument
from surplus.edits import masked
from surplus.interop import export_onnx, export_program
from zoo import build


def masked_net():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 3))
    net.extend([nn.ReLU(), nn.Flatten(), nn.Linear(6 * 16, 4)])
    example = torch.randn(2, 3, 8, 8)
    mask = sp.Mask.full(sp.find_units(net.eval(), example))
    mask.kept["0"][[1, 4, 5]] = False
    mask.kept["3"][0] = False
    return net, mask, example


def test_a_masked_model_is_refused_with_the_hint_to_cut_it_first(tmp_path):
    net, mask, example = masked_net()
    masked = sp.enforce(net, mask)
    for export in (export_onnx, export_program):
        with pytest.raises(InvalidArgument) as raised:
            export(tmp_path / "model", masked, example)
        message = str(raised.value)
        assert "3 of the 8 units of `0` and 1 of the 6 units of `3` are zero" in message
        assert "Cut these units first, `smaller, edits = surplus.cut(model, mask)`" in message
        assert "pass `allow_masked=True`" in message
    assert list(tmp_path.iterdir()) == []
    as_it_is = export_program(tmp_path / "masked.pt2", masked, example, allow_masked=True)
    smaller, _ = sp.cut(net, mask)
    cut = export_program(tmp_path / "cut.pt2", smaller, example)
    assert cut.num_bytes < as_it_is.num_bytes


@pytest.mark.parametrize("name", ["vit", "lstm", "mobilenet_v2", "gpt_tied"])
def test_masked_units_are_found_in_any_model(name, tmp_path):
    model, example = build(name)
    units = sp.find_units(model, example)
    group = units.removable()[0]
    mask = sp.keep(sp.score(model, units, by=sp.scores.Magnitude(), layers=[group.name]), 0.5)
    gone = int((~mask.kept[group.name]).sum())
    with pytest.raises(InvalidArgument, match=rf"all weights of {gone} of the {group.size} units"):
        export_program(tmp_path / "model.pt2", sp.enforce(model, mask), example)


def test_a_masked_model_whose_normalisations_follow_is_refused_too(tmp_path):
    model, example = build("vit")
    units = sp.find_units(model, example)
    mask = sp.keep(sp.score(model, units, by=sp.scores.Magnitude()), 0.5)
    with pytest.raises(InvalidArgument, match="The model is masked and not cut: all weights of"):
        export_program(tmp_path / "model.pt2", masked(model, mask), example)


def test_zeros_that_are_no_masked_units_are_exported(tmp_path):
    """A bias or a weight of zeros, a dead input, an untrained scale, scattered zeros: nothing there could be cut."""
    net, _, example = masked_net()
    with torch.no_grad():
        net[0].bias.zero_()
        net[0].weight[:, 0] = 0
        net[0].weight[2] = 0
        net[3].weight[torch.rand_like(net[3].weight) < 0.9] = 0
        net[6].weight[:2] = 0
    assert export_program(tmp_path / "model.pt2", net, example).difference == 0
    with torch.no_grad():
        net[1].weight[2] = net[1].bias[2] = 0
    assert export_program(tmp_path / "model.pt2", net, example).difference == 0
    with torch.no_grad():
        net[3].weight[:, 2] = 0
    with pytest.raises(InvalidArgument, match="all weights of 1 of the 8 units of `0` are zero"):
        export_program(tmp_path / "model.pt2", net, example)


def test_masks_of_torch_are_refused_with_the_way_to_take_them_over(tmp_path):
    net, _, example = masked_net()
    prune.l1_unstructured(net[0], "weight", 0.5)
    prune.ln_structured(net[6], "weight", 0.5, n=2, dim=0)
    with pytest.raises(InvalidArgument) as raised:
        export_onnx(tmp_path / "model.onnx", net, example)
    message = str(raised.value)
    assert "masks of torch.nn.utils.prune on `0.weight` and `6.weight`" in message
    assert "50 % of these weights" in message and "sp.interop.import_prune(model)" in message
    assert list(tmp_path.iterdir()) == []
    export_program(tmp_path / "model.pt2", net, example, allow_masked=True)
    plain, _ = sp.interop.import_prune(net)
    export_program(tmp_path / "model.pt2", plain, example)


def test_many_masked_layers_are_counted(tmp_path):
    net = nn.Sequential(*(nn.Linear(4, 4) for _ in range(6)))
    for layer in net:
        prune.l1_unstructured(layer, "weight", 0.5)
    with pytest.raises(InvalidArgument, match=r"`0.weight`, `1.weight`, `2.weight` and 3 more"):
        export_program(tmp_path / "model.pt2", net, torch.zeros(1, 4))
