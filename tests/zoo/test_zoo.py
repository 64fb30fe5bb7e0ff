"""The zoo keeps its promises: models that run, repeat and have nothing idle in them."""

import pytest
import torch
from torch.utils._pytree import tree_leaves

from zoo import ZOO, build, run

NAMES = sorted(ZOO)


def outputs(name, dtype=torch.float64):
    model, example = build(name, dtype=dtype)
    return tree_leaves(run(model, example))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_models_run_in_either_precision(name, dtype):
    for leaf in outputs(name, dtype):
        assert leaf.dtype == dtype
        assert leaf.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_outputs_depend_on_the_input(name):
    """Both entries of the batch, or both of the first two rows, differ."""
    for leaf in outputs(name):
        assert (leaf[0] - leaf[1]).abs().max() > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_moves_the_output(name):
    """No relu is dead and nothing is constant; the biases of keys cancel in a softmax, though."""
    model, example = build(name)
    leaves = tree_leaves(run(model, example))
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(leaf.shape, dtype=leaf.dtype, generator=generator) for leaf in leaves]
    sum((leaf * weight).sum() for leaf, weight in zip(leaves, weights, strict=True)).backward()
    for path, parameter in model.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.any() or path.endswith("bias"), path
        assert parameter.numel() == 1 or parameter.std() > 0, path


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_model(name):
    before = torch.get_rng_state()
    (one, _), (two, _), (other, _) = build(name), build(name), build(name, seed=1)
    assert torch.equal(before, torch.get_rng_state())
    states = one.state_dict(), two.state_dict()
    assert all(torch.equal(a, b) for a, b in zip(*(s.values() for s in states), strict=True))
    for a, b in zip(outputs(name), outputs(name), strict=True):
        assert torch.equal(a, b)
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


def test_statistics_of_norms_are_random():
    model, _ = build("resnet18")
    assert model.bn1.running_mean.std() > 0.01
    assert 0.5 <= model.bn1.running_var.min() < model.bn1.running_var.max() <= 1.5
    assert 0.5 <= model.bn1.weight.min() < model.bn1.weight.max() <= 1.5
