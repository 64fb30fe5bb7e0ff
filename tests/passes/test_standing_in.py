import pytest
import torch
from torch import nn

from surplus.base import InvalidArgument
from surplus.edits import merge
from surplus.masks import Mask
from surplus.passes import stand_ins
from surplus.units import find_units
from zoo import build


def prepared():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 3, 3), nn.Flatten(), nn.Linear(48, 4)
    ).double()
    data = [(torch.randn(20, 2, 8, 8).double(), torch.zeros(20)) for _ in range(3)]
    mask = Mask.full(find_units(model, data[0][0]))
    mask.kept["0"][4:] = False
    return model, data, mask


def test_the_fit_is_that_of_least_squares_over_all_rows():
    model, data, mask = prepared()
    found = stand_ins(model, mask, data)["0"]
    with torch.no_grad():
        rows = torch.cat([model[1](model[0](x)).movedim(1, -1).flatten(0, -2) for x, _ in data])
    basis = torch.cat([rows[:, :4], torch.ones(len(rows), 1).double()], 1)
    expected = torch.linalg.lstsq(basis, rows[:, 4:]).solution
    torch.testing.assert_close(found.coefficients, expected[:4].T, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(found.constants, expected[4], rtol=1e-8, atol=1e-10)
    apart = (rows[:, 4:] - basis @ expected).norm(dim=0) / rows[:, 4:].norm(dim=0)
    torch.testing.assert_close(found.residuals, apart, rtol=1e-6, atol=1e-8)
    assert bool((found.residuals > 0.1).all())


def test_merging_by_a_fit_is_nearer_than_removing():
    model, data, mask = prepared()
    inputs = data[0][0]
    merged, edits = merge(model, mask, stand_ins(model, mask, data))
    removed, _ = merge(
        model,
        mask,
        {
            "0": type(stand_ins(model, mask, data)["0"])(
                coefficients=torch.zeros(2, 4, dtype=torch.float64)
            )
        },
    )
    original = model(inputs)
    assert (merged(inputs) - original).norm() < 0.8 * (removed(inputs) - original).norm()
    assert edits.steps[0].difference > 0


def test_without_constants_none_are_fitted():
    model, data, mask = prepared()
    assert stand_ins(model, mask, data, constants=False)["0"].constants is None


def test_units_that_are_seen_nowhere_are_refused():
    model, example = build("vit")
    units = find_units(model, example)
    hidden = [group for group in units.removable() if group.tap is None]
    if not hidden:
        pytest.skip("every group can be seen")
    mask = Mask.full(units, (hidden[0].name,))
    mask.kept[hidden[0].name][0] = False
    with pytest.raises(InvalidArgument, match="never lie along one axis"):
        stand_ins(model, mask, [(example, example)])
