"""What must not change by accident: addresses of published set-ups, and files of format 1."""

from pathlib import Path

import pytest
import torch

from surplus.base import Task, members
from surplus.edits import load
from surplus.methods import address
from surplus.store import read_bundle, read_document
from surplus.training import RECIPES

HERE = Path(__file__).parent
ADDRESSES = {
    "lenet-mnist-10k": "7e2d298badad96fc",
    "lenet-mnist": "c370d4f4b4289b49",
    "lenet-fashion": "697f9424770e01a1",
    "conv2-cifar10": "2704be0258b5cd1f",
    "conv4-cifar10": "d7512d4bed88ad31",
    "conv6-cifar10": "05279a0c7fc2d138",
    "vgg11-cifar10": "0498c6b0c4fde909",
    "vgg19-cifar10": "ddd99e9624ad5496",
    "alexnet-cifar10": "178438f27927c783",
}
CONTENTS = {
    "mnist": "121f90f84684b2bb",
    "mnist-10k": "326901456267071f",
    "fashion-mnist": "d053bd800b143bb3",
    "cifar-10": "572b4ced501b14f1",
    "digits": "4d29654939d86355",
}


@pytest.mark.parametrize("name", RECIPES)
def test_same_spec_same_address(name):
    """If this fails, a default changed: raise the class's `version` and say so, or take the change back."""
    assert address(RECIPES[name]()) == ADDRESSES[name]


@pytest.mark.parametrize("name", CONTENTS)
def test_same_data_same_hash(name):
    assert members(Task)[name]().content_hash == CONTENTS[name]


def test_a_bundle_of_format_1_is_read():
    model = load(HERE / "cut-v1.safetensors").eval()
    assert model.fc1.out_features == 3
    bundle = read_bundle(HERE / "cut-v1.safetensors")
    assert bundle.metadata["edits"][0]["units"][0] == {
        "layer": "fc1",
        "size": 8,
        "kept": [[0, 1], [4, 6]],
    }
    outputs = model(torch.ones(1, 1, 4, 4))
    expected = torch.tensor([[float(x) for x in (HERE / "cut-v1.txt").read_text().split()]])
    torch.testing.assert_close(outputs, expected, rtol=1e-5, atol=1e-6)


def test_a_document_of_format_1_is_read():
    assert read_document(HERE / "spec-v1.json")["spec"]["net"]["kind"] == "lenet-300-100"


def make() -> None:
    """Write the golden files anew; only when a format changes, beside the old ones."""
    from planted import TinyMLP
    from surplus.base import encode
    from surplus.edits import Origin, cut, save
    from surplus.masks import Mask
    from surplus.store import write_document
    from surplus.training import recipe
    from surplus.units import find_units

    model = TinyMLP().build((1, 4, 4), 3, seed=0)
    mask = Mask.full(find_units(model, torch.zeros(1, 1, 4, 4)), ("fc1",))
    mask.kept["fc1"][[1, 2, 3, 6, 7]] = False
    smaller, edits = cut(model, mask)
    origin = Origin(net=TinyMLP(), input_shape=(1, 4, 4), num_classes=3)
    save(HERE / "cut-v1.safetensors", smaller, edits, origin)
    outputs = smaller(torch.ones(1, 1, 4, 4)).detach()[0].tolist()
    (HERE / "cut-v1.txt").write_text(" ".join(map(str, outputs)) + "\n")
    write_document(HERE / "spec-v1.json", {"spec": encode(recipe("lenet-mnist-10k"))})
