import pytest
import torch

from asking import asked, dense, notes, of_layer, randn, seen_of
from surplus.base import InvalidArgument
from surplus.measures import Approach


def look(measure, W, Z):
    return seen_of(
        measure, dense(W, randn(2, len(W))), initial={"0.weight": Z, "2.weight": randn(2, len(W))}
    )


def planted(units=24, fan_in=60):
    """Twelve units that grew within a plane, twelve that stayed, all from random directions."""
    Z = randn(units, fan_in) / fan_in**0.5
    plane = torch.eye(fan_in, dtype=torch.float64)[[3, 7]]
    W = Z.clone()
    W[:12] = 3 * torch.cat([torch.ones(12, 1), randn(12, 1, seed=1).abs()], dim=1) @ plane
    return W, Z


def closeness(row, rows, rank):
    """Return how much of a row lies in the leading directions of others, by power iteration with deflation."""
    rest, total = rows.T @ rows, 0.0
    for _ in range(rank):
        axis = torch.ones(len(rest), dtype=torch.float64)
        for _ in range(20_000):
            axis = rest @ axis
            axis = axis / axis.norm()
        total += float(row @ axis) ** 2
        rest = rest - float(axis @ rest @ axis) * torch.outer(axis, axis)
    return total**0.5 / float(row.norm())


def test_it_is_that_of_loops():
    Z, W = randn(9, 5), randn(9, 5, seed=1) * torch.linspace(0.5, 3, 9).double()[:, None]
    measure = Approach(rank=2, growth=1.2, num_units=None)
    grown = [unit for unit in range(9) if W[unit].norm() >= 1.2 * Z[unit].norm()]
    still = [unit for unit in range(9) if unit not in grown]
    found = of_layer(measure, look(measure, W, Z))
    assert found["num_trained"] == len(grown) and 2 < len(grown) < 8
    for kind, units in (("trained", grown), ("untrained", still)):
        for when, matrix in (("initial", Z), ("final", W)):
            each = [
                closeness(matrix[unit], W[[other for other in grown if other != unit]], 2)
                for unit in units
            ]
            expected = sum(each) / len(each)
            assert found[f"{kind}_{when}_closeness"] == pytest.approx(expected, abs=1e-6)
        turned = [float(W[u] @ Z[u] / W[u].norm() / Z[u].norm()) for u in units]
        assert found[f"{kind}_cosine_with_start"] == pytest.approx(sum(turned) / len(turned))


def test_units_that_moved_into_a_plane_were_no_closer_before():
    W, Z = planted()
    measure = Approach(rank=2)
    found = of_layer(measure, look(measure, W, Z))
    assert (found["num_trained"], found["share_trained"]) == (12, 0.5)
    assert found["trained_final_closeness"] == pytest.approx(1)
    assert found["random_closeness"] == pytest.approx((2 / 60) ** 0.5)
    for name in ("trained_initial", "untrained_initial", "untrained_final"):
        assert found[f"{name}_closeness"] == pytest.approx(found["random_closeness"], abs=0.08)
    assert found["untrained_cosine_with_start"] == pytest.approx(1)
    assert found["trained_largest_component_share"] == 1
    assert found["untrained_largest_component_share"] == pytest.approx(1 / 12)


def test_a_unit_alone_is_not_close_to_itself():
    """Orthogonal trained units share no subspace, whatever is fitted to them."""
    W = 3 * torch.eye(6, 8, dtype=torch.float64)
    measure = Approach()
    found = of_layer(measure, look(measure, W, W / 3))
    assert found["trained_final_closeness"] == 0
    assert found["trained_largest_component_share"] == pytest.approx(1 / 6)


def test_kinds_that_are_missing_are_said():
    W, Z = planted()
    measure = Approach()
    found = of_layer(measure, look(measure, Z, Z))
    assert found["num_trained"] == 0 and found["trained_final_closeness"] is None
    assert found["untrained_final_closeness"] is None
    one = Z.clone()
    one[0] *= 5
    found = of_layer(measure, look(measure, one, Z))
    assert found["num_trained"] == 1 and found["trained_final_closeness"] is None
    assert found["untrained_final_closeness"] == pytest.approx(found["untrained_initial_closeness"])
    assert "0" in notes(measure, look(measure, W, torch.zeros_like(Z)))


def test_a_sample_of_units_is_drawn_by_the_seed():
    W, Z = planted()
    few = Approach(rank=2, num_units=3)
    seen = look(few, W, Z)
    assert asked(few, seen) == asked(few, look(few, W, Z))
    assert of_layer(few, seen)["untrained_initial_closeness"] != pytest.approx(
        of_layer(Approach(rank=2), seen)["untrained_initial_closeness"], abs=1e-9
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "`rank` is 0; it must be at least 1"),
        ({"growth": 0.0}, "`growth` is 0.0; it is a factor and must be positive"),
        ({"degrees": 180.0}, "`degrees` is 180.0; it must lie between 0 and 180"),
        ({"num_units": 0}, "`num_units` is 0; it must be at least 1, or None for all"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InvalidArgument, match=message):
        Approach(**settings)
