"""Products across layers: the same from rows as from columns, split, merged and refused."""

import pytest
import torch

from surplus.passes.statistics import Comoments, CrossLayer, cross_layer

WIDTHS = {"a": 3, "b": 7, "c": 2}


def features_of(count: int, seed: int = 0, shift: float = 0.0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(count, width, dtype=torch.float64, generator=generator) + shift
        for name, width in WIDTHS.items()
    }


def gathered(features: dict[str, torch.Tensor], batch: int) -> CrossLayer:
    seen = CrossLayer()
    count = len(features["a"])
    for begin in range(0, count, batch):
        seen.add({name: each[begin : begin + batch] for name, each in features.items()})
    return seen


def naive(features: dict[str, torch.Tensor]) -> torch.Tensor:
    centred = [each - each.mean(0) for each in features.values()]
    squares = [[float((one.T @ two).square().sum()) for two in centred] for one in centred]
    return torch.tensor(squares, dtype=torch.float64)


@pytest.mark.parametrize("count", [1, 5, 11, 12, 13, 300, 600])
@pytest.mark.parametrize("batch", [4, 1000])
def test_rows_and_columns_give_the_same(count, batch, monkeypatch):
    """Below and above the number of columns, and over more than one tile of rows."""
    features = features_of(count)
    torch.testing.assert_close(gathered(features, batch).squares(), naive(features))
    monkeypatch.setattr(CrossLayer, "width", 10**4)  # so that rows are kept whatever their number
    torch.testing.assert_close(gathered(features, batch).squares(), naive(features))


@pytest.mark.parametrize(("first", "second"), [(5, 4), (5, 40), (40, 5), (40, 40)])
def test_parts_merge_to_the_whole(first, second):
    one, two = features_of(first, 1), features_of(second, 2)
    whole = gathered({name: torch.cat([one[name], two[name]]) for name in WIDTHS}, 7)
    half = gathered(one, 3)
    half.merge(gathered(two, 100))
    assert half.num_examples == whole.num_examples == first + second
    torch.testing.assert_close(half.squares(), whole.squares())
    empty = CrossLayer()
    empty.merge(half)
    torch.testing.assert_close(empty.squares(), whole.squares())


def test_a_large_mean_costs_no_digits():
    for count in (9, 200):
        near, far = features_of(count), features_of(count, shift=1e6)
        torch.testing.assert_close(
            gathered(far, 5).squares(), gathered(near, 5).squares(), rtol=1e-8, atol=0
        )


@pytest.mark.parametrize("count", [9, 200])
def test_what_never_changes_is_named(count):
    features = features_of(count)
    features["b"] = torch.full((count, 7), 0.3).double()
    features["c"][:, 0] = 0.1
    assert gathered(features, 4).constant().tolist() == [False, True, False]


def test_too_much_is_refused_and_says_what_would_go(monkeypatch):
    monkeypatch.setattr(cross_layer, "MOST_NUMBERS", 100)
    assert gathered(features_of(8), 4).refused is None
    seen = gathered(features_of(9), 4)
    assert seen.refused == (
        "its layers have 12 features together, whose products are more than are kept (100 numbers):"
        " pass fewer `layers`, or at most 8 examples"
    )
    other = gathered(features_of(4), 4)
    other.merge(seen)
    assert other.refused == seen.refused


def test_wide_products_are_right():
    """Wider than one block, so that one half is computed and copied across the diagonal."""
    rows = torch.randn(40, 1100, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    seen = Comoments(1100)
    for part in rows.split(17):
        seen.add(part, len(part))
    torch.testing.assert_close(seen.covariance, rows.T.cov(correction=0))
