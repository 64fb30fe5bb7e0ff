import pytest
import torch
from torch import nn

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


class Permuted(nn.Module):
    """Two layers with a permutation in between, that the code takes from a buffer."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 2)
        self.register_buffer("order", torch.tensor([3, 2, 0, 1, 5, 4]))

    def forward(self, x):
        return self.last(torch.relu(self.first(x))[:, self.order])


def test_a_permutation_is_numbered_anew_in_every_way_of_cutting(tmp_path):
    model, x = Permuted().double(), torch.randn(3, 4, dtype=torch.float64)
    mask = sp.Mask.full(sp.find_units(model, x))
    mask.kept["first"][[1, 4]] = False
    smaller, edits = sp.cut(model, mask)
    assert smaller.order.tolist() == [2, 1, 0, 3]
    assert edits.steps[0].numbers[0].kept == ((0, 1), (2, 4), (5, 6))
    whole = sp.expand(smaller, edits)
    torch.testing.assert_close(whole(x), smaller(x))
    assert whole.order[[0, 1, 2, 4]].tolist() == [3, 2, 0, 5]
    sp.save(tmp_path / "cut.safetensors", smaller, edits)
    again = sp.load(tmp_path / "cut.safetensors", into=Permuted().double())
    assert torch.equal(again(x), smaller(x))
    sp.cut_(model, mask)
    assert torch.equal(model(x), smaller(x))


@pytest.mark.message
def test_numbers_of_two_axes_that_differ_are_refused():
    class Twice(Permuted):
        def __init__(self):
            super().__init__()
            self.order = torch.tensor([1, 3, 2])
            self.longer, self.last = nn.Linear(4, 8), nn.Linear(20, 2)

        def forward(self, x):
            h, k = torch.relu(self.first(x)), torch.relu(self.longer(x))
            return self.last(torch.cat([h[:, self.order], k[:, self.order], h, k], 1))

    model, x = Twice(), torch.randn(3, 4)
    units = sp.find_units(model, x)
    names = [group.name for group in units.removable()]
    assert sorted(names) == ["first[0:6]", "first[1:4]", "longer"]
    for name, unit in (("first[1:4]", 0), ("first[0:6]", 1), ("longer", 4)):
        mask = sp.Mask.full(units)
        mask.kept[name][unit] = False
        sp.cut(model, mask)
    mask = sp.Mask.full(units)
    mask.kept["first[0:6]"][0] = False
    with pytest.raises(
        InvalidArgument, match="`order` picks positions of two axes, of which other"
    ):
        sp.cut(model, mask)
    mask.kept["longer"][0] = False
    assert sp.cut(model, mask)[0].order.tolist() == [0, 2, 1]
