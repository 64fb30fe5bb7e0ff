"""Local complexity: against loops over neurons and vertices, in closed form for the first layer, honest elsewhere."""

import pytest
import torch
from torch import nn

from planted import batches
from surplus.base import InvalidArgument, derive
from surplus.measures import LocalComplexity, findings, observed
from surplus.passes.neighbourhoods import orthonormal_directions, sign_changes
from surplus.units import find_units, tapping


def seen_by(measure, model, data, **more):
    return observed(model, find_units(model, data[0][0][:2]), (measure,), data, **more)


def rows(measure, model, data, **more):
    return [each for _, each in findings(seen_by(measure, model, data, **more), (measure,))]


def found(measure, model, data, **more):
    return {
        each.layer: each.value
        for each in rows(measure, model, data, **more)
        if each.quantity == "local_complexity"
    }


def everything(data):
    return torch.cat([inputs for inputs, _ in data])


def oracle(model, points, directions, radius):
    """Loop over points, vertices and neurons of a chain whose every second layer computes pre-activations."""
    counts = {}
    for x in points:
        signs = {}
        for v in directions:
            for vertex in (x + radius * v, x - radius * v):
                values = vertex[None]
                for name, module in model.named_children():
                    values = module(values)
                    if isinstance(module, nn.Linear | nn.BatchNorm2d):
                        for neuron, value in enumerate(values.flatten().tolist()):
                            signs.setdefault((name, neuron), set()).add(value > 0)
        for (name, _), both in signs.items():
            counts[name] = counts.get(name, 0) + (len(both) == 2)
    return {name: count / len(points) for name, count in counts.items()}


@pytest.mark.parametrize("radius", [0.005, 0.3, 2.0])
def test_is_what_loops_count(mlp, radius):
    """Rectified, with a tangent, and the outputs."""
    data = batches(20, (6,), 3)
    measure = LocalComplexity(radius=radius, num_points=40)
    numbers = found(measure, mlp, data)
    directions = orthonormal_directions((6,), 25, derive(0, "directions"))
    assert len(directions) == 6
    with torch.no_grad():
        expected = oracle(mlp, everything(data), directions, radius)
    assert {name: numbers[name] for name in expected} == pytest.approx(expected)
    assert numbers[None] == pytest.approx(sum(expected.values()))
    without = found(LocalComplexity(radius=radius, num_points=40, outputs=False), mlp, data)
    assert set(without) == {"0", "2", None}
    assert without[None] == pytest.approx(numbers[None] - expected["4"])


def test_a_filter_is_a_neuron_at_each_position_also_where_layers_work_in_place():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(48, 4),
        nn.SiLU(inplace=True),
        nn.Linear(4, 3),
    ).double()
    data = batches(10, (1, 6, 6), 3)
    measure = LocalComplexity(radius=0.5, num_points=20, num_directions=7)
    numbers = found(measure, model.eval(), data)
    directions = orthonormal_directions((1, 6, 6), 7, derive(0, "directions"))
    with torch.no_grad():
        expected = oracle(model, everything(data), directions, 0.5)
    assert numbers["0"] == pytest.approx(expected["1"])
    assert numbers["4"] == pytest.approx(expected["4"])
    assert numbers["6"] == pytest.approx(expected["6"])
    shares = {
        each.layer: each.value
        for each in rows(measure, model, data)
        if each.quantity == "share_of_neurons"
    }
    assert shares["0"] == pytest.approx(expected["1"] / 48)


@pytest.mark.parametrize("radius", [0.1, 1.0])
def test_the_first_layer_has_a_closed_form(radius):
    """A neuron is cut if and only if |w x + b| < r max |w v|."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 3)).double()
    points = torch.randn(50, 40, dtype=torch.float64)
    directions = orthonormal_directions((40,), 25, seed=3)
    units = find_units(model, points[:2])
    counted = sign_changes(model, {"0": units["0"].tap}, points, directions, radius)["0"]
    with torch.no_grad():
        reach = radius * (model[0].weight @ directions.T).abs().max(1).values
        cut = model[0](points).abs() < reach
    assert torch.equal(counted.counts, cut.sum(1))
    assert counted.num_neurons == 30
    assert 0 < int(cut.sum()) < cut.numel()


def test_grows_with_the_radius_from_nothing(mlp):
    data = batches(30, (6,), 3)
    counts = [
        found(LocalComplexity(radius=radius, num_points=60), mlp, data)["0"]
        for radius in (1e-9, 0.01, 0.1, 0.5, 2.0, 100.0)
    ]
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert counts[-1] > 7.9  # of 8 neurons


def test_directions_are_orthonormal_and_those_of_the_seed():
    some = orthonormal_directions((2, 3, 4), 10, seed=1)
    assert some.shape == (10, 2, 3, 4)
    flat = some.flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(10).double())
    assert torch.equal(some, orthonormal_directions((2, 3, 4), 10, seed=1))
    assert not torch.equal(some, orthonormal_directions((2, 3, 4), 10, seed=2))
    assert len(orthonormal_directions((3,), 10, seed=1)) == 3


def test_a_relative_radius_follows_the_scale_of_the_data():
    """Data and biases ten times as large: the same picture, ten times as large."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 3)).double()
    data = batches(30, (6,), 3)
    measure = LocalComplexity(radius=0.2, relative=True, num_points=60)
    before = found(measure, model, data)
    points = everything(data)
    (radius,) = (each.value for each in rows(measure, model, data) if each.quantity == "radius")
    scale = float((points - points.mean(0)).norm(dim=1).square().mean().sqrt())
    assert radius == pytest.approx(0.2 * scale)
    with torch.no_grad():
        for layer in (model[0], model[2]):
            layer.bias.mul_(10)
    after = found(measure, model, [(10 * inputs, targets) for inputs, targets in data])
    assert after == pytest.approx(before)


def test_the_interval_holds_the_mean_over_all_points():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 30), nn.ReLU(), nn.Linear(30, 3)).double()
    data = batches(400, (6,), 3)
    units = find_units(model, data[0][0][:2])
    inside = 0
    for seed in range(20):
        measure = LocalComplexity(radius=0.2, num_points=40)
        (part,) = (
            each
            for each in rows(measure, model, data, seed=seed)
            if each.layer == "0" and each.quantity == "local_complexity"
        )
        assert (part.n, part.seed) == (40, seed)
        directions = orthonormal_directions((6,), 25, derive(seed, "directions"))
        whole = sign_changes(model, {"0": units["0"].tap}, everything(data), directions, 0.2)["0"]
        inside += part.lower <= float(whole.counts.double().mean()) <= part.upper
    assert inside >= 17


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        z = self.one(x)
        return self.two(z * torch.sigmoid(1.7 * z))


def test_what_cannot_be_seen_is_named():
    data = batches(20, (4,), 3, torch.float32)
    found_rows = rows(LocalComplexity(), Gated(), data)
    notes = {each.layer: each.note for each in found_rows if each.quantity == "untreated"}
    assert notes == {
        "one": "its units are seen behind `mul`, whose input is not their pre-activation"
    }
    assert found_rows[-1].note == "without one, which cannot be treated"


def test_inputs_without_neighbours_are_named():
    model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 3))
    data = [(torch.arange(9), torch.arange(9) % 3)]
    (row,) = rows(LocalComplexity(), model, data)
    assert row.note == "its inputs are of type torch.int64, so that nothing lies around them"
    single = [(torch.randn(1, 4), torch.zeros(1).long())]
    units = find_units(Gated(), torch.randn(2, 4))
    (row,) = (
        each
        for _, each in findings(
            observed(units.model, units, (LocalComplexity(),), single), (LocalComplexity(),)
        )
    )
    assert row.note == "the data have fewer than two examples"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"radius": 0.0}, "`radius` is 0.0; it must be above 0"),
        ({"num_directions": 0}, "`num_directions` is 0 and `num_points` 128"),
        ({"num_points": 1}, "`num_directions` is 25 and `num_points` 1"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(InvalidArgument, match=message):
        LocalComplexity(**settings)


def test_tapping_before_shows_what_goes_into_activations(mlp):
    """And what comes out of everything else."""
    inputs = batches(5, (6,), 3)[0][0]
    units = find_units(mlp, inputs[:2])
    seen = {}
    taps = {group.name: group.tap for group in units}
    with torch.no_grad():
        with tapping(
            mlp, taps, lambda name, values: seen.update({name: values.clone()}), before=True
        ):
            mlp(inputs)
        for name, end in (("0", 1), ("2", 3), ("4", 5)):
            torch.testing.assert_close(seen[name].T, mlp[:end](inputs))
