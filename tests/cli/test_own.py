"""A model of one's own, from the command line."""

import pytest
import torch

import surplus as sp
from surplus.cli import main

MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.conv1, self.conv2 = nn.Conv2d(16, 24, 3, padding=1), nn.Conv2d(24, 16, 3, padding=1)
        self.head = nn.Linear(16, 5)
    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.conv2(torch.relu(self.conv1(x))))
        return self.head(x.mean((2, 3)))

def net():
    torch.manual_seed(0)
    return Net()

def example():
    return {"x": torch.zeros(2, 3, 8, 8)}

def batches():
    return [(torch.randn(6, 3, 8, 8), torch.randint(5, (6,))) for _ in range(2)]

number = 3
def nothing():
    return 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    name = f"mine_{abs(hash(tmp_path.name))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


def prune(folder, *words):
    return main(["prune", f"{folder}:net", "--example", "2x3x8x8", *words])


def test_a_model_of_ones_own_is_cut_and_loads_into_a_fresh_one(folder, capsys):
    assert prune(folder, "--target", "macs=0.5", "--out", "small.safetensors") == 0
    printed = capsys.readouterr()
    assert "Asked for 0.5 of the macs, reached 0.4" in printed.err
    for word in ("stem", "conv1", "stays: they are the outputs", "dense", "masked", "cut"):
        assert word in printed.out
    module = __import__(folder)
    again = sp.load("small.safetensors", into=module.net())
    assert again.conv1.out_channels < 24
    assert again(torch.zeros(1, 3, 8, 8)).shape == (1, 5)


@pytest.mark.parametrize("by", ["taylor", "mean-activation", "leave-one-out-loss", "magnitude"])
def test_criteria_that_look_at_data_get_them(by, folder, capsys):
    words = ("--by", by, "--data", f"{folder}:batches", "--layers", "conv1", "--within", "layer")
    assert prune(folder, *words) == 0
    assert "test [%]" in capsys.readouterr().out


def test_layers_are_ignored_by_name(folder, capsys):
    assert prune(folder, "--ignore", "stem", "--out", "small.safetensors") == 0
    assert "stays: ignored by name" in capsys.readouterr().out
    again = sp.load("small.safetensors", into=__import__(folder).net())
    assert again.stem.out_channels == again.conv2.out_channels == 16
    assert again.conv1.out_channels == 12
    assert prune(folder, "--ignore", "stme") == 2
    assert "There is no layer called `stme`. Did you mean `stem`?" in capsys.readouterr().err


def test_an_example_may_be_made(folder, capsys):
    words = [
        "prune",
        f"{folder}:net",
        "--example",
        f"{folder}:example",
        "--target",
        "sparsity=0.25",
    ]
    assert main(words) == 0
    assert "batch 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--target", "half"), "`--target` is half; write sparsity=0.5"),
        (("--target", "macs=50"), "For 50 percent pass 0.5."),
        (("--target", "sparsity=1"), "Removing everything leaves no network"),
        (("--target", "sparsity=-0.3"), "`sparsity` is -0.3"),
        (("--layers", "conv9"), "There is no layer called `conv9`. Did you mean `conv1`?"),
        (("--by", "magnitud"), "Did you mean `magnitude`?"),
        (("--by", "taylor"), "needs data: pass `data=`"),
    ],
)
def test_what_cannot_be_done_is_one_line(words, message, folder, capsys):
    assert prune(folder, *words) == 2
    printed = capsys.readouterr()
    assert message in printed.err and "Traceback" not in printed.err


@pytest.mark.parametrize(
    ("model", "example", "message"),
    [
        ("nowhere_at_all:net", "1x3x8x8", "There is no module `nowhere_at_all`"),
        ("{}:nets", "1x3x8x8", "has no `nets`"),
        ("{}:number", "1x3x8x8", "is a int; it has to be a function"),
        ("{}:nothing", "1x3x8x8", "returned a int; it has to return an `nn.Module`"),
        ("{}:net", "1x4x8x8", "does not run on an example of shape (1, 4, 8, 8)"),
        ("{}:net", "big", "`--example` is big; write a shape such as 1x3x32x32"),
    ],
)
def test_what_is_not_there_is_named(model, example, message, folder, capsys):
    assert main(["prune", model.format(folder), "--example", example]) == 2
    assert message in capsys.readouterr().err


def test_a_factory_that_needs_arguments_is_said(tmp_path, monkeypatch, capsys):
    (tmp_path / "needing_arguments.py").write_text("def net(width): ...\n")
    monkeypatch.chdir(tmp_path)
    assert main(["measure", "needing_arguments:net", "--example", "1x6"]) == 2
    assert "called without arguments" in capsys.readouterr().err
