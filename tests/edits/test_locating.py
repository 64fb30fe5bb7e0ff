"""Where a cut goes wrong, the message names the operator, the module and the line of the user's code."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn

from surplus.edits import NotEqual, cut
from surplus.edits.locating import where_apart
from surplus.edits.verifying import difference, masked
from surplus.masks import Mask
from surplus.units import find_units


class Net(nn.Module):
    def __init__(self, norm=False):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 2)
        self.norm = nn.LayerNorm(6) if norm else nn.Identity()

    def forward(self, x):
        h = torch.relu(self.norm(self.first(x)))
        h = torch.tanh(self.second(h))  # the line that is named
        return self.last(h)


LINE = next(
    number
    for number, line in enumerate(Path(__file__).read_text().splitlines(), start=1)
    if line.endswith("# the line that is named")
)


@pytest.mark.parametrize("norm", [False, True])
def test_the_operator_at_which_outputs_part_is_named(norm):
    model, example = Net(norm).double(), torch.randn(3, 4).double()
    units = find_units(model, example)
    mask = Mask.full(units, ("first",))
    mask.kept["first"][1] = False
    smaller, _ = cut(model, mask)
    with torch.no_grad():
        smaller.second.weight[0, 0] += 1.0
    expected = rf"They part at `aten\.\w+` in `second`, test_locating.py line {LINE}\. Please"
    with pytest.raises(NotEqual, match=expected):
        difference(masked(model, mask), smaller, model, example)


def test_the_operator_that_fails_is_named():
    model, example = Net().double(), torch.randn(3, 4).double()
    broken = Net().double()
    broken.second = nn.Linear(7, 5).double()
    said = where_apart(model, broken, (example,), {})
    assert (
        said.startswith(" It fails at `aten.")
        and f"in `second`, test_locating.py line {LINE}" in said
    )


def test_equal_models_part_nowhere():
    model, example = Net().double(), torch.randn(3, 4).double()
    assert where_apart(model, deepcopy(model), (example,), {}) == ""
