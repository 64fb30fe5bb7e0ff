"""The contract of every published architecture, which a width multiplier makes smaller; small models have their own."""

import dataclasses
import math

import pytest
import torch
from torch import nn

from planted import shaken
from surplus.base import InvalidArgument, Net, members
from surplus.edits import cut
from surplus.masks import Mask, Scores, enforce, keep
from surplus.nets import (
    MLP,
    Conv2,
    MobileNetV1,
    MobileNetV2,
    Redrawn,
    ResNet18,
    ResNet50,
    ResNetCIFAR,
    WideResNet,
)
from surplus.training.forward import Forward
from surplus.units import find_units, is_chain


def has_multiplier(kind):
    return any(field.name == "width" and field.type is float for field in dataclasses.fields(kind))


NETS = {
    name: kind
    for name, kind in members(Net).items()
    if not name.startswith("tiny") and has_multiplier(kind)
}
SEED = 0


EXAMPLES = {
    "mlp": (MLP(), MLP(widths=(30, 20))),
    "redrawn": tuple(Redrawn(inner=Conv2(width=each), layers=("fc1",)) for each in (1.0, 0.1)),
}
"""Nets without a default or a multiplier of all widths: one of full size, and a small one."""


def default(name):
    return EXAMPLES[name][0] if name in EXAMPLES else NETS[name]()


def small(name):
    return EXAMPLES[name][1] if name in EXAMPLES else NETS[name](width=0.1)


def on_meta(net, side, num_classes):
    """Return a net of full size without its numbers."""
    with torch.device("meta"):
        return net.build((3, side, side), num_classes, SEED)


CHAINS = {name: kind for name, kind in NETS.items() if is_chain(on_meta(small(name), 32, 10))}
OTHERS = {name: kind for name, kind in NETS.items() if name not in CHAINS}


@pytest.mark.parametrize("name", NETS)
def test_same_seed_same_weights_other_seed_others(name):
    net = small(name)
    one, same, other = (net.build((3, 32, 32), 10, seed) for seed in (0, 0, 1))
    for key, tensor in one.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[key])
        if key.endswith("weight") and tensor.dim() > 1:
            assert not torch.equal(tensor, other.state_dict()[key])


@pytest.mark.parametrize("name", CHAINS)
def test_weights_of_chains_are_gaussian_glorot(name):
    for module in default(name).build((3, 32, 32), 10, seed=0):
        if isinstance(module, nn.Linear | nn.Conv2d) and module.weight.numel() > 20_000:
            area = module.weight[0, 0].numel()
            expected = math.sqrt(2 / (area * sum(module.weight.shape[:2])))
            assert float(module.weight.detach().std()) == pytest.approx(expected, rel=0.03)
            assert not module.bias.any()


@pytest.mark.parametrize("name", OTHERS)
def test_weights_of_the_others_are_gaussian_kaiming_by_fan_out(name):
    """Each map is read by so many weights of the next one's filters; the output layer begins close to nothing."""
    net = NETS[name](width=4.0) if name == "wide-resnet" else default(name)
    found = []
    for module in net.build((3, 32, 32), 10, seed=0).modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 4_000:
            fan_out = math.prod(module.kernel_size) * module.out_channels / module.groups
            found.append(float(module.weight.detach().std()) / math.sqrt(2 / fan_out))
        elif isinstance(module, nn.Linear):
            assert float(module.weight.detach().std()) == pytest.approx(0.01, rel=0.2)
            assert not module.bias.any()
    assert len(found) > 5
    assert found == pytest.approx([1] * len(found), rel=0.05)


@pytest.mark.parametrize("name", NETS)
def test_a_layer_is_drawn_alone(name):
    """Another shape of the last layer leaves the earlier ones as they were."""
    ten, five = (
        dict(small(name).build((3, 32, 32), n, seed=0).named_parameters()) for n in (10, 5)
    )
    same = [key for key in ten if ten[key].shape == five[key].shape]
    assert len(same) >= len(ten) - 2
    assert all(torch.equal(ten[key], five[key]) for key in same)


@pytest.mark.parametrize("name", [name for name in CHAINS if name != "redrawn"])
def test_without_biases(name):
    net = dataclasses.replace(small(name), bias=False).build((3, 32, 32), 10, seed=0)
    assert all(m.bias is None for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("density", [0.1, 0.5, 0.9])
def test_cut_equals_masked(name, density):
    model = shaken(small(name).build((3, 32, 32), 10, seed=0))
    example = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    units = find_units(model, example)
    generator = torch.Generator().manual_seed(int(10 * density))
    kept = {}
    for group in units.removable():
        kept[group.name] = torch.rand(group.size, generator=generator) < density
        kept[group.name][0] = True
    mask = Mask(kept, "units", units)
    smaller, _ = cut(model, mask)
    expected = enforce(model, mask)(example)
    torch.testing.assert_close(smaller(example), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NETS)
def test_half_of_every_group_is_cut_exactly(name):
    """All at once and each alone; what cannot be removed is the output, or says why."""
    model = shaken(small(name).build((3, 32, 32), 10, seed=0))
    example = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    units = find_units(model, example)
    generator = torch.Generator().manual_seed(1)
    values = {g.name: torch.rand(g.size, generator=generator) for g in units.removable()}
    for chosen in (values, *({key: value} for key, value in values.items())):
        mask = keep(Scores(chosen, "units", units), 0.5)
        assert all(abs(2 * int(kept.sum()) - len(kept)) <= 1 for kept in mask.kept.values())
        _, edits = cut(model, mask)
        assert edits.steps[0].difference <= 1e-10
    assert all(len(group.protected) > 10 for group in units if group.name not in values)


@pytest.mark.parametrize("name", OTHERS)
def test_larger_images_give_as_many_outputs(name):
    model = small(name).build((1, 96, 64), 7, seed=0).eval()
    assert model(torch.randn(2, 1, 96, 64)).shape == (2, 7)


PUBLISHED = {
    "resnet-18": (ResNet18(), 224, 1000, 11_689_512),
    "resnet-50": (ResNet50(), 224, 1000, 25_557_032),
    "mobilenet-v1": (MobileNetV1(), 224, 1000, 4_231_976),
    "mobilenet-v2": (MobileNetV2(), 224, 1000, 3_504_872),
    "resnet-20": (ResNetCIFAR(depth=20), 32, 10, 269_722),
    "wrn-28-10": (WideResNet(depth=28, width=10.0), 32, 10, 36_479_194),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_number_of_parameters_is_the_known_one(name):
    net, side, num_classes, expected = PUBLISHED[name]
    assert sum(p.numel() for p in on_meta(net, side, num_classes).parameters()) == expected


@pytest.mark.parametrize(
    ("net", "millions"),
    [
        (ResNetCIFAR(depth=32), 0.46),
        (ResNetCIFAR(depth=44), 0.66),
        (ResNetCIFAR(depth=56), 0.85),
        (ResNetCIFAR(depth=110), 1.7),
        (WideResNet(depth=40, width=4.0), 8.9),
        (WideResNet(depth=16, width=8.0), 11.0),
        (WideResNet(depth=22, width=8.0), 17.2),
    ],
    ids=str,
)
def test_the_papers_count_as_many_millions(net, millions):
    """he2016deep, Table 6, and zagoruyko2016wide, Table 4."""
    found = sum(p.numel() for p in on_meta(net, 32, 10).parameters()) / 1e6
    assert found == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize("kind", [ResNet18, ResNet50, MobileNetV1, MobileNetV2])
def test_small_images_meet_an_eighth_of_their_side_large_ones_a_thirty_second(kind):
    def last_side(net, side):
        sides = []
        model = net.build((3, side, side), 10, SEED).eval()
        model.avgpool.register_forward_hook(lambda _, given, __: sides.append(given[0].shape[-1]))
        model(torch.zeros(1, 3, side, side))
        return sides[0]

    assert last_side(kind(width=0.1), 32) == 4
    assert last_side(kind(width=0.1), 64) == 2
    assert last_side(kind(width=0.1, stem="small"), 64) == 8
    assert last_side(kind(width=0.1, stem="large"), 32) == 1


def test_names_are_those_of_torchvision():
    """So that its weights load with `load_state_dict`; a name of each kind."""
    expected = {
        ResNet18: ("conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "fc.bias"),
        ResNet50: ("layer1.0.downsample.0.weight", "layer4.2.bn3.bias", "layer3.5.conv2.weight"),
        MobileNetV2: (
            "features.0.0.weight",
            "features.1.conv.1.weight",
            "features.2.conv.0.0.weight",
            "features.17.conv.3.running_var",
            "features.18.1.weight",
            "classifier.1.bias",
        ),
    }
    for kind, names in expected.items():
        assert set(names) <= set(on_meta(kind(), 224, 1000).state_dict())


def test_weights_begin_where_activations_neither_vanish_nor_explode():
    for name in OTHERS:
        model = small(name).build((3, 32, 32), 10, seed=0).train()
        outputs = model(torch.randn(16, 3, 32, 32))
        assert 1e-3 < float(outputs.detach().std()) < 1


@pytest.mark.message
def test_a_stem_that_is_not_there_is_refused():
    with pytest.raises(InvalidArgument, match=r"`stem` is 'tiny'; it is \"small\", \"large\", or"):
        ResNet18(stem="tiny").build((3, 32, 32), 10, SEED)


@pytest.mark.message
@pytest.mark.parametrize(
    ("net", "shape", "message"),
    [
        (ResNetCIFAR(depth=21), (3, 32, 32), r"`depth` is 21; it must be 6n \+ 2, as 20, 32"),
        (WideResNet(depth=20), (3, 32, 32), r"`depth` is 20; it must be 6n \+ 4, as 16, 22"),
        (MobileNetV2(), (784,), r"takes images, \(channels, height, width\); .* \(784,\)"),
        (WideResNet(), (784,), r"takes images, \(channels, height, width\); .* \(784,\)"),
        (ResNet50(width=0.0), (3, 32, 32), "`width` is 0.0; it is a multiplier"),
    ],
    ids=str,
)
def test_what_cannot_be_built_is_said(net, shape, message):
    with pytest.raises(InvalidArgument, match=message):
        net.build(shape, 10, SEED)


@pytest.mark.parametrize("name", CHAINS)
def test_the_fleet_engine_computes_what_the_module_computes(name):
    model = shaken(small(name).build((3, 32, 32), 10, seed=0))
    inputs = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    stacked = {key: torch.stack([each, each]) for key, each in model.state_dict().items()}
    outputs = Forward(model)(torch.stack([inputs, inputs]), stacked, stacked)
    for replica in outputs:
        torch.testing.assert_close(replica.T, model(inputs), rtol=1e-10, atol=1e-10)
