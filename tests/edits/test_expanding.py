import pytest
import torch

import surplus as sp
from surplus.base import InvalidArgument
from surplus.masks import Scores
from surplus.units import tensors_of
from zoo import build, run

NAMES = ("resnet18", "mobilenet_v2", "densenet", "googlenet", "unet", "lstm", "yolo_c2f", "vgg_bn")


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_model_is_expanded_back_with_zeros(name):
    model, example = build(name)
    units = sp.find_units(model, example)
    values = {group.name: torch.rand(group.size) for group in units.removable()}
    mask = sp.keep(Scores(values, "units", units), 0.5)
    smaller, edits = sp.cut(model, mask)
    whole = sp.expand(smaller, edits)
    shapes = {key: value.shape for key, value in tensors_of(model).items()}
    assert {key: value.shape for key, value in tensors_of(whole).items()} == shapes
    zeroed = sp.enforce(model, mask)
    for key, parameter in whole.named_parameters():
        assert torch.equal(parameter, zeroed.get_parameter(key))
    with torch.no_grad():
        for one, other in zip(
            *(torch.utils._pytree.tree_leaves(run(each, example)) for each in (whole, smaller)),
            strict=True,
        ):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)
    again, _ = sp.cut(whole, mask)
    assert all(
        torch.equal(one, other)
        for one, other in zip(again.parameters(), smaller.parameters(), strict=True)
    )


def test_a_model_that_the_edits_did_not_make_is_refused():
    model, example = build("vgg_bn")
    units = sp.find_units(model, example)
    mask = sp.keep(sp.score(model, units, sp.scores.Magnitude()), 0.5)
    _, edits = sp.cut(model, mask)
    with pytest.raises(InvalidArgument, match="They were made on another architecture"):
        sp.expand(model, edits)
    with pytest.raises(InvalidArgument, match="which this model does not have"):
        sp.expand(build("lstm")[0], edits)
