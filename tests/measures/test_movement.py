import pytest
import torch

from asking import asked, dense, notes, of_layer, randn, seen_of
from oracles.geometry import cosine, length
from surplus.base import InvalidArgument
from surplus.masks import Mask
from surplus.measures import Movement


def seen(W, start, **more):
    out = randn(2, len(W))
    initial = {"0.weight": start, "2.weight": out}
    return seen_of(Movement(), dense(W, out), initial=initial, **more)


def test_it_is_that_of_loops():
    start = randn(9, 4)
    W = start + 0.2 * randn(9, 4, seed=1)
    rows = list(zip(W.tolist(), start.tolist(), strict=True))
    cosines = [cosine(*pair) for pair in rows]
    moved = [length([x - y for x, y in zip(*pair, strict=True)]) / length(pair[1]) for pair in rows]
    for cut_off in (0.1, 0.2, 0.4):
        measure = Movement(cut_off=cut_off)
        found = asked(measure, seen(W, start))
        for unit in range(9):
            assert found["cosine_with_start", "0", None, unit, None] == pytest.approx(cosines[unit])
        num = sum(each <= cut_off for each in moved)
        assert of_layer(measure, seen(W, start)) == pytest.approx(
            {
                "mean_cosine_with_start": sum(cosines) / 9,
                "median_cosine_with_start": sorted(cosines)[4],
                "least_cosine_with_start": min(cosines),
                "median_relative_movement": sorted(moved)[4],
                "num_unmoved": num,
                "share_unmoved": num / 9,
            }
        )


def test_planted_stayers_turners_and_growers():
    start = torch.eye(4).double()
    W = torch.stack([start[0], start[3], -start[2], 5 * start[3]])
    found = asked(Movement(), seen(W, start))
    cosines = [found["cosine_with_start", "0", None, unit, None] for unit in range(4)]
    assert cosines == pytest.approx([1, 0, -1, 1])
    # Growth without a turn is movement too.
    assert found["num_unmoved", "0", None, None, None] == 1
    assert found["num_unmoved", "2", None, None, None] == 2


def test_units_without_a_direction_are_left_out():
    start = torch.eye(4).double() * torch.tensor([[1.0], [1.0], [0.0], [1.0]])
    W = torch.eye(4).double() * torch.tensor([[1.0], [0.0], [1.0], [1.0]])
    mask = Mask({"0": torch.tensor([True, True, True, False])}, "units")
    found = of_layer(Movement(), seen(W, start, mask=mask))
    assert found["share_unmoved"] == 1
    reasons = notes(Movement(), seen(W, 0 * start))
    assert reasons == {"0": "all its units began with weights of zero"}


@pytest.mark.message
def test_a_negative_cut_off_is_refused():
    with pytest.raises(InvalidArgument, match=r"`cut_off` is -1; it must be 0 or more\."):
        Movement(cut_off=-1)
