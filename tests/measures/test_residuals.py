import pytest
import torch

from asking import asked, dense, notes, of_layer, randn, seen_of
from surplus.base import InvalidArgument
from surplus.masks import Mask
from surplus.measures import Residuals


def look(measure, W, **more):
    return seen_of(measure, dense(W, randn(2, len(W))), **more)


def planted():
    """Six long rows in a plane, and ten short ones anywhere in 50 dimensions."""
    plane = torch.eye(50, dtype=torch.float64)[[3, 7]]
    return torch.cat([5 * randn(6, 2) @ plane, 0.01 * randn(10, 50, seed=1)])


def test_it_is_that_of_loops():
    W = randn(9, 6)
    norms = W.norm(dim=1)
    selected = [unit for unit in range(9) if norms[unit] > 0.9 * norms.mean()]
    rows = W[selected]
    axes = torch.linalg.eigh(rows.T @ rows).eigenvectors[:, -2:].T
    expected = {}
    for unit, row in enumerate(W):
        rest = row - sum((row @ axis) * axis for axis in axes)
        which = "selected" if unit in selected else "unselected"
        expected[f"{which}_residual", "0", None, unit, None] = float(rest.norm() / row.norm())
    measure = Residuals(rank=2, cut_off=0.9, each_unit=True)
    found = asked(measure, look(measure, W))
    units = {key: value for key, value in found.items() if key[3] is not None and key[1] == "0"}
    assert units == pytest.approx(expected)
    for which in ("selected", "unselected"):
        own = [value for key, value in expected.items() if key[0] == f"{which}_residual"]
        assert found[f"num_{which}", "0", None, None, None] == len(own)
        mean = (sum(value**2 for value in own) / len(own)) ** 0.5
        assert found[f"{which}_residual", "0", None, None, None] == pytest.approx(mean)
        assert found[f"greatest_{which}_residual", "0", None, None, None] == pytest.approx(max(own))


def test_trained_units_lie_inside_and_the_others_as_random_ones_do():
    found = of_layer(Residuals(cut_off=0.3), look(Residuals(), planted()))
    assert found["subspace_rank"] == 2
    assert (found["num_selected"], found["num_unselected"]) == (6, 10)
    assert found["greatest_selected_residual"] < 1e-12
    assert found["unselected_residual"] == pytest.approx(found["random_residual"], abs=0.02)
    assert found["random_residual"] == pytest.approx((1 - 2 / 50) ** 0.5)


def test_a_mask_says_which_units_are_selected():
    W = planted()
    mask = Mask({"0": torch.arange(16) < 3}, "units")
    found = of_layer(Residuals(rank=2), look(Residuals(), W, mask=mask))
    assert (found["num_selected"], found["num_unselected"]) == (3, 13)
    W = W * mask.kept["0"][:, None]
    found = of_layer(Residuals(rank=2), look(Residuals(), W, mask=mask))
    assert found["num_unselected"] == 0
    assert found["unselected_residual"] is None


def test_what_cannot_be_split_is_named():
    none = Mask({"0": torch.zeros(16, dtype=torch.bool)}, "units")
    found = notes(Residuals(rank=1), look(Residuals(), planted(), mask=none))
    assert found == {"0": "no unit that is selected has weights other than zero"}
    found = notes(Residuals(rank=3), look(Residuals(), randn(20, 3)))
    reason = "the selected units lead in all 3 directions of its inputs: choose a `rank` below that"
    assert found == {"0": reason}


@pytest.mark.message
def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(InvalidArgument, match="`rank` is 0; it must be at least 1"):
        Residuals(rank=0)
    with pytest.raises(InvalidArgument, match="`cut_off` is -1.0; it must be 0 or more"):
        Residuals(cut_off=-1.0)
