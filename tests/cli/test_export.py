"""`surplus export`: what it prints, what it leaves behind, what it says when something is wrong."""

import onnxruntime
import pytest
import torch

import surplus as sp
from surplus.cli import main
from surplus.edits import Origin
from surplus.nets import Conv2
from surplus.store import write_bundle

MODULE = """
import torch
from torch import nn
from torch.nn.utils import prune

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 8, 3, padding=1)
        self.head = nn.Linear(8, 5)
    def forward(self, x):
        x = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        return {"logits": self.head(x.mean((2, 3)))}

def net():
    torch.manual_seed(0)
    return Net()

def pruned():
    made = net()
    prune.ln_structured(made.conv1, "weight", amount=4, n=2, dim=0)
    return made

class Branching(Net):
    def forward(self, x):
        found = super().forward(x)["logits"]
        return found if found.sum() > 0 else -found

class Fixed(Net):
    def forward(self, x):
        return super().forward(x.reshape(2, 3, 8, -1))

def branching():
    return Branching()

def fixed():
    return Fixed()

def example():
    return {"x": torch.randn(2, 3, 8, 8)}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    name = f"leaving_{abs(hash(tmp_path.name))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


@pytest.fixture
def bundle(tmp_path):
    """Return a bundle that knows how its network is built, with half of one layer cut out."""
    origin = Origin(net=Conv2(width=0.1), input_shape=(3, 32, 32), num_classes=10)
    model = origin.build().eval()
    units = sp.find_units(model, torch.zeros(1, 3, 32, 32))
    smaller, edits = sp.cut(model, sp.keep(sp.score(model, units, by=sp.scores.Magnitude()), 0.5))
    sp.save(tmp_path / "small.safetensors", smaller, edits, origin)
    return smaller


def test_a_bundle_that_knows_its_network_is_exported(folder, bundle, tmp_path, capsys):
    assert main(["export", "small.safetensors", "--to", "small.onnx"]) == 0
    printed = capsys.readouterr()
    size = (tmp_path / "small.onnx").stat().st_size
    assert printed.out.startswith(f"Written: small.onnx ({size / 1000:.1f} kB), for any batch.\n")
    assert "Largest difference to the model's outputs on the example: " in printed.out
    assert printed.err == ""
    session = onnxruntime.InferenceSession("small.onnx")
    images = torch.randn(7, 3, 32, 32)
    (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(found), bundle(images), rtol=1e-4, atol=1e-4)


def test_a_model_of_ones_own_is_pruned_and_exported(folder, capsys):
    words = [f"{folder}:net", "--example", "2x3x8x8"]
    assert main(["prune", *words, "--target", "macs=0.5", "--out", "small.safetensors"]) == 0
    capsys.readouterr()
    exporting = ["export", *words, "--weights", "small.safetensors"]
    assert main([*exporting, "--to", "small.pt2", "--fixed-batch"]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith(", for a batch of 2.")
    assert main([*exporting, "--to", "small.onnx"]) == 0
    small = sp.load("small.safetensors", into=__import__(folder).net()).eval()
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        expected = small(images)["logits"]
    program = torch.export.load("small.pt2").module()
    torch.testing.assert_close(program(images)["logits"], expected)
    session = onnxruntime.InferenceSession("small.onnx")
    (found,) = session.run(["logits"], {"x": images.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-4)


def test_an_example_may_be_made(folder, capsys):
    words = ["export", f"{folder}:net", "--example", f"{folder}:example", "--to", "net.pt2"]
    assert main(words) == 0
    assert "for any batch" in capsys.readouterr().out


@pytest.mark.filterwarnings("default")
def test_a_batch_that_is_fixed_is_told(folder, capsys):
    words = ["export", f"{folder}:fixed", "--example", "2x3x8x8", "--to", "net.pt2"]
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "for a batch of 2." in printed.out
    assert "surplus: net.pt2 takes a batch of 2 only" in printed.err


def test_a_masked_model_is_refused_unless_it_is_wanted(folder, tmp_path, capsys):
    words = ["export", f"{folder}:pruned", "--example", "2x3x8x8", "--to", "net.pt2"]
    assert main(words) == 2
    printed = capsys.readouterr()
    assert "carries masks of torch.nn.utils.prune on `conv1.weight`" in printed.err
    assert "(`--allow-masked`)" in printed.err and printed.out == ""
    assert not (tmp_path / "net.pt2").exists()
    assert main([*words, "--allow-masked"]) == 0


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (
            ("{}:net", "--to", "net.onnx"),
            2,
            "`--example` is missing: a model of your own has to be",
        ),
        (
            ("{}:net", "--example", "2x3x8x8", "--to", "net.bin"),
            2,
            "`--to` is net.bin; name a file",
        ),
        (
            ("{}:net", "--example", "2x4x8x8", "--to", "net.pt2"),
            2,
            "does not run on inputs of shape",
        ),
        (("last", "--to", "net.onnx"), 2, "`last` is neither a bundle (a .safetensors file) nor"),
        (("none.safetensors", "--to", "net.onnx"), 1, "none.safetensors cannot be read"),
        (("other.safetensors", "--to", "net.onnx"), 1, "is a bundle, but not that of a model"),
        (
            ("bare.safetensors", "--to", "a.pt2"),
            2,
            "surplus export module:factory --weights bare.saf",
        ),
        (
            ("bare.safetensors", "--weights", "b", "--to", "a.pt2"),
            2,
            "`--weights` goes with module",
        ),
        (
            ("{}:branching", "--example", "2x3x8x8", "--to", "net.onnx"),
            1,
            "decides by the values of",
        ),
        (("{}:net", "--example", "2x3x8x8", "--to", "folder.pt2"), 1, "folder.pt2: it is a folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(words, status, message, folder, tmp_path, capfd):
    sp.save("bare.safetensors", torch.nn.Linear(2, 2))
    write_bundle(tmp_path / "other.safetensors", {}, {"kind": "moments"})
    (tmp_path / "folder.pt2").mkdir()
    before = sorted(tmp_path.rglob("*.*"))
    assert main(["export", *(word.format(folder) for word in words)]) == status
    printed = capfd.readouterr()
    assert message in printed.err and printed.err.count("\n") == 1
    left = [path for path in sorted(tmp_path.rglob("*.*")) if path.suffix != ".pyc"]
    assert left == before


def test_a_missing_package_names_the_extra(folder, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    words = ["export", f"{folder}:net", "--example", "2x3x8x8", "--to", "net.onnx"]
    assert main(words) == 2
    assert "pip install 'surplus[onnx]'" in capsys.readouterr().err
