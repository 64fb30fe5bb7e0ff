import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surplus.base import InvalidArgument, SurplusError, Table, UnknownName

CELLS = st.one_of(
    st.none(),
    st.integers(),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text("abc, \"'\nxyz019.e-+"),
    st.sampled_from(["1", "1e3", "True", "", "nan", "None"]),
)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=8))
def test_csv_brings_back_every_digit(rows):
    table = Table(
        {"a": [a for a, _ in rows], "b": [b for _, b in rows]}, units={"b": "ms, batch 4"}
    )
    again = Table.from_csv(table.to_csv())
    assert again.columns == table.columns
    assert again.units == table.units


def test_rows_that_lack_a_key_are_filled():
    assert Table.from_rows([{"a": 1}, {"b": 2}]).columns == {"a": [1, None], "b": [None, 2]}


def test_unequal_columns_are_refused():
    with pytest.raises(InvalidArgument, match="must have one length"):
        Table({"a": [1], "b": []})


def test_a_wrong_column_gets_a_suggestion():
    with pytest.raises(UnknownName, match="no column called `los`. Did you mean `loss`"):
        Table({"loss": [1.0]})["los"]


def test_a_partner_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(SurplusError, match=r"needs pandas: pip install 'surplus\[analysis\]'"):
        Table({"a": [1]}).to_pandas()


def test_to_pandas():
    pandas = pytest.importorskip("pandas")
    frame = Table({"a": [1, 2], "b": ["x", None]}).to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["a"].tolist() == [1, 2]
