"""What the measure of curvature states, against matrices that are written down."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from planted import batches
from surplus.base import InvalidArgument
from surplus.measures import Curvature, Finding, Measure, findings, observed
from surplus.units import find_units

# What torch itself calls when it differentiates forwards for the first time.
pytestmark = pytest.mark.filterwarnings(r"ignore:`torch\.jit\.script`:DeprecationWarning")


def measured(model: nn.Module, by: Measure, data=None, **more) -> list[Finding]:
    data = batches(30, (6,), 3) if data is None else data
    units = find_units(model, data[0][0][:2])
    return [finding for _, finding in findings(observed(model, units, (by,), data, **more), (by,))]


def of(found: list[Finding], quantity: str, layer: str | None = None) -> list[Finding]:
    return [each for each in found if each.quantity == quantity and each.layer == layer]


def hessian_of(model: nn.Module) -> Tensor:
    pairs = batches(30, (6,), 3)
    inputs, targets = (torch.cat(each) for each in zip(*pairs, strict=True))
    parts = {name: each.detach() for name, each in model.named_parameters()}
    sizes = [each.numel() for each in parts.values()]

    def loss(flat: Tensor) -> Tensor:
        split = dict(zip(parts, flat.split(sizes), strict=True))
        split = {name: part.view(parts[name].shape) for name, part in split.items()}
        return F.cross_entropy(functional_call(model, split, (inputs,)), targets)

    return torch.func.hessian(loss)(torch.cat([each.reshape(-1) for each in parts.values()]))


def smooth() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3)).double()


def test_states_the_truth_of_a_small_network():
    """With as many probes and steps as parameters nothing is left to chance."""
    model = smooth()
    H = hessian_of(model)
    values = torch.linalg.eigvalsh(H)
    by = Curvature(operator="hessian", num_probes=43, num_steps=43, num_eigenvalues=6)
    found = measured(model, by)
    (total,) = of(found, "trace")
    assert total.value == pytest.approx(float(H.trace()), rel=1e-8)
    assert of(found, "trace", "0")[0].value == pytest.approx(float(H.diagonal()[:28].sum()))
    assert of(found, "trace", "2")[0].value == pytest.approx(float(H.diagonal()[28:].sum()))
    largest = of(found, "eigenvalue")
    assert [each.at for each in largest] == [1, 2, 3, 4, 5, 6]
    for each, value in zip(largest, values.flip(0).tolist(), strict=False):
        assert each.value == pytest.approx(value, rel=1e-6, abs=1e-12)
        assert each.lower <= value <= each.upper
    (smallest,) = of(found, "smallest_eigenvalue")
    assert smallest.value == pytest.approx(float(values[0]), rel=1e-6) and values[0] < 0
    assert of(found, "num_examples")[0].value == 60
    assert of(found, "num_parameters")[0].value == 43
    assert not of(found, "effective_num_directions")  # eigenvalues of both signs would cancel


def test_few_probes_have_intervals_that_hold_the_truth():
    """On softmax regression, where the Gauss-Newton matrix is the Hessian."""
    model = nn.Sequential(nn.Linear(6, 3)).double()
    values = torch.linalg.eigvalsh(hessian_of(model))
    found = measured(model, Curvature(num_probes=4, num_steps=12), seed=1)
    (total,), (directions,) = of(found, "trace"), of(found, "effective_num_directions")
    assert total.lower <= float(values.sum()) <= total.upper
    truth = float(values.sum() ** 2 / values.square().sum())
    assert directions.lower <= truth <= directions.upper
    assert directions.value == pytest.approx(truth, rel=0.2)
    assert {each.seed for each in found if each.lower is not None} == {1}
    assert {each.n for each in found if each.lower is not None} == {4}
    (first, *_) = of(found, "eigenvalue")
    assert first.value == pytest.approx(float(values[-1]), rel=1e-3)


def test_the_density_covers_the_range_and_has_mass_one():
    found = of(measured(smooth(), Curvature(num_points=2001, width=0.05)), "density")
    assert len(found) == 2001
    step = found[1].at - found[0].at
    inside = sum(each.value for each in found) * step
    assert 0.5 < inside <= 1.02  # of the bells at both ends, half lies outside
    assert all(0 <= each.lower <= each.value <= each.upper for each in found)


def test_examples_and_probes_are_drawn_by_the_seed():
    model, by = smooth(), Curvature(num_examples=20)
    first, again, other = (measured(model, by, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert of(first, "num_examples")[0].value == 20
    assert of(first, "trace")[0].value != of(other, "trace")[0].value


class Bag(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(9, 5)
        self.fc = nn.Linear(5, 3)

    def forward(self, words: Tensor) -> Tensor:
        return self.fc(self.bag(words))


def test_says_what_stands_in_the_way():
    data = [(torch.randint(0, 9, (8, 4)), torch.randint(0, 3, (8,)))]
    by = Curvature(num_examples=8)
    units = find_units(smooth(), torch.zeros(2, 6, dtype=torch.float64))
    model = Bag()
    seen = observed(model, units, (by,), data)
    ((_, only),) = findings(seen, (by,))
    assert only.quantity == "untreated" and only.value is None
    assert "of Bag cannot be had" in only.note and "`_embedding_bag_backward` twice" in only.note
    model.bag.requires_grad_(False)
    found = [finding for _, finding in findings(seen, (by,))]
    assert of(found, "untreated", "bag")[0].note == "its parameters are frozen"
    (fc,), (total,) = of(found, "trace", "fc"), of(found, "trace")
    assert max(fc.lower, total.lower) < min(fc.upper, total.upper)
    model.requires_grad_(False)
    ((_, only),) = findings(seen, (by,))
    assert "no parameter that can be trained" in only.note


@pytest.mark.message
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"operator": "fisher"}, '`operator` is \'fisher\'; it must be "ggn" or "hessian"'),
        ({"num_probes": 0}, "`num_probes` is 0; it must be at least 1"),
        ({"num_examples": -1}, "`num_examples` is -1; it must be at least 1"),
        ({"width": 0.0}, "`width` is 0; it must be above 0"),
    ],
)
def test_refuses_settings_out_of_range(settings, words):
    with pytest.raises(InvalidArgument, match=words):
        measured(smooth(), Curvature(**settings))
