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


def test_a_compiled_model_that_is_cut_in_place_is_compiled_anew():
    """Cutting in place leaves the objects that a compiled model holds, with other shapes."""
    model, example = build("resnet18")
    units = sp.find_units(model, example)
    compiled = torch.compile(model, backend="aot_eager")
    with torch.no_grad():
        before = compiled(example)
        values = {group.name: torch.rand(group.size) for group in units.removable()}
        sp.cut_(model, sp.keep(Scores(values, "units", units), 0.5))
        torch.testing.assert_close(compiled(example), model(example))
        assert not torch.allclose(model(example), before)


@pytest.mark.parametrize("name", ["vit", "lstm", "mobilenet_v2", "prune_depthwise"])
def test_a_model_that_was_cut_in_place_is_compiled_and_trains(name):
    model, example = build(name)
    units = sp.find_units(model, example)
    values = {group.name: torch.rand(group.size) for group in units.removable()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    sp.cut_(model, sp.keep(Scores(values, "units", units), 0.5), optimizer)
    arguments = example if isinstance(example, tuple) else (example,)
    compiled = torch.compile(model, backend="aot_eager")
    torch.testing.assert_close(compiled(*arguments), model(*arguments))
    before = [each.detach().clone() for each in model.parameters()]
    compiled(*arguments).square().sum().backward()
    optimizer.step()
    moved = [not torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True)]
    assert sum(moved) > len(moved) / 2


def test_a_cut_model_whose_weights_are_computed_is_compiled():
    for name in ("spectral_norm", "parametrised", "prune_mask"):
        smaller, arguments = cut_half(name)
        with torch.no_grad():
            compiled = torch.compile(smaller, backend="aot_eager")
            torch.testing.assert_close(compiled(*arguments), smaller(*arguments))
