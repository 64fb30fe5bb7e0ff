"""A cut model is an ordinary module: it is exported and compiled like one."""

import pytest
import torch

import surplus as sp
from surplus.masks import Scores
from zoo import build

NAMES = ("resnet18", "mobilenet_v2", "densenet", "vit", "gpt", "unet")


def cut_half(name):
    model, example = build(name)
    units = sp.find_units(model, example)
    values = {group.name: torch.rand(group.size) for group in units.removable()}
    smaller, _ = sp.cut(model, sp.keep(Scores(values, "units", units), 0.5))
    return smaller.eval(), example if isinstance(example, tuple) else (example,)


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_model_is_exported(name):
    smaller, arguments = cut_half(name)
    with torch.no_grad():
        program = torch.export.export(smaller, arguments)
        torch.testing.assert_close(program.module()(*arguments), smaller(*arguments))


@pytest.mark.parametrize("name", ["resnet18", "vit"])
def test_a_cut_model_is_compiled(name):
    smaller, arguments = cut_half(name)
    with torch.no_grad():
        compiled = torch.compile(smaller, backend="aot_eager")
        torch.testing.assert_close(compiled(*arguments), smaller(*arguments))
