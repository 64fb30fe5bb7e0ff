"""Operators that Surplus has never seen, as users register them: followed where trying tells, protected otherwise."""

import pytest
import torch
from torch import Tensor, nn

from surplus.edits import cut
from surplus.masks import Scores, keep
from surplus.units import find_units


def registered(name, work, signature="(Tensor x) -> Tensor"):
    """Register an operator without any tag or rule, and return it."""
    library = torch.library.Library("surplus_tests", "FRAGMENT")
    library.define(f"{name}{signature}")
    library.impl(name, work, "CompositeExplicitAutograd")
    KEPT.append(library)
    return getattr(torch.ops.surplus_tests, name)


def riffled(x):
    """Take turns between the first half of the units and the second, which leaves every other unit as it was."""
    turns = torch.arange(x.shape[-1])
    return x[..., turns // 2 + turns % 2 * ((len(turns) + 1) // 2)].clone()


KEPT: list[object] = []
BINARY = "(Tensor x, Tensor y) -> Tensor"
FOLLOWED = {
    "bent": (registered("bent", lambda x: x * torch.sigmoid(2 * x)), 1),
    "shifted": (registered("shifted", lambda x: x.cos() + 1), 1),
    "turned": (registered("turned", lambda x: x.flip(-1).clone()), 1),
    "moved": (registered("moved", lambda x: x.movedim(-1, 0).clone()), 1),
    "doubled": (registered("doubled", lambda x: x.repeat_interleave(2, -1)), 2),
}
PROTECTED = {
    "normed": registered("normed", lambda x: x.softmax(-1)),
    "summed": registered("summed", lambda x: x.cumsum(-1)),
    "ranked": registered("ranked", lambda x: x.sort(-1).values),
    "dead": registered("dead", lambda x: torch.relu(x - 1e6)),
    "fixed": registered("fixed", lambda x: x * torch.arange(6.0, dtype=x.dtype)),
    "sized": registered("sized", lambda x: x / x.shape[-1]),
    "riffled": registered("riffled", riffled),
    "paired": registered("paired", lambda x: x + x.roll(1, -1)),
}


class Net(nn.Module):
    def __init__(self, work, times=1, back=False):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6 * times, 2)
        self.work, self.back = work, back

    def forward(self, x: Tensor) -> Tensor:
        h = self.work(self.first(x))
        return self.last(h.movedim(0, -1) if self.back else h)


def checked(model):
    """Cut half of the first layer, which compares with the masked model; return its group."""
    model, example = model.double(), torch.randn(3, 4).double()
    units = find_units(model, example)
    if units["first"].protected is None:
        values = {"first": torch.rand(units["first"].size)}
        _, edits = cut(model, keep(Scores(values, "units", units), 0.5))
        assert edits.steps[0].difference < 1e-10
    return units["first"]


@pytest.mark.parametrize("name", FOLLOWED)
def test_what_works_on_each_unit_is_followed(name):
    work, times = FOLLOWED[name]
    assert checked(Net(work, times, back=name == "moved")).protected is None


@pytest.mark.parametrize("name", PROTECTED)
def test_what_mixes_or_cannot_be_told_is_protected_by_name(name):
    reason = checked(Net(PROTECTED[name])).protected
    assert f"has no rule for (`surplus_tests.{name}`" in reason


def test_units_that_meet_go_together():
    times = registered("times", lambda x, y: x * y, BINARY)

    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.gate, self.last = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x):
            return self.last(times(self.first(x), self.gate(x)))

    group = checked(Gate())
    assert group.protected is None
    assert {slot.tensor for slot in group.incoming} == {"first.weight", "gate.weight"}


def test_an_operator_with_a_scale_of_its_own_carries_it_along():
    scaled = registered("scaled", lambda x, y: x * y + 1, BINARY)

    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 2)
            self.scale = nn.Parameter(torch.rand(6))

        def forward(self, x):
            return self.last(scaled(self.first(x), self.scale))

    group = checked(Scale())
    assert group.protected is None and "scale" in {slot.tensor for slot in group.slots}


def test_a_product_with_a_weight_is_not_told_by_trying():
    product = registered("product", lambda x, y: x @ y, BINARY)

    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 6), nn.Linear(5, 2)
            self.weight = nn.Parameter(torch.rand(6, 5))

        def forward(self, x):
            return self.last(product(self.first(x), self.weight))

    assert "has no rule for (`surplus_tests.product`" in checked(Product()).protected
