"""The folder of an outcome: tables, pages, the ledger."""

import json
import os
import re

import numpy
import pandas
import pytest
from matplotlib.figure import Figure

from flipping import Coin
from running import context
from surplus.base import CorruptFile, InvalidArgument, Table
from surplus.studies import ledger, study
from surplus.studies.ledger import write_ledger
from surplus.studies.outcome import Outcome, table_of_frame


@pytest.fixture(scope="module")
def outcome(tmp_path_factory) -> Outcome:
    return study(Coin(seeds=3), context=context(tmp_path_factory.mktemp("outcome")))


def test_what_is_written(outcome, tmp_path):
    into = outcome.write(tmp_path)
    assert into == tmp_path / "coin"
    names = {str(each.relative_to(into)) for each in into.rglob("*") if each.is_file()}
    assert names == {
        "README.md", "index.html", "claims.csv", "shares.csv", "found/flip-flips.csv", "heads.svg", "heads.pdf",
        "references.bib", "study.json",
    }  # fmt: skip
    claims = Table.from_csv((into / "claims.csv").read_text())
    assert claims["verdict"][2] == "undecided" and claims["n"][:2] == [3, 3]
    assert Table.from_csv((into / "shares.csv").read_text())["coin"] == ["fair", "loaded"]
    contents = json.loads((into / "study.json").read_text())["contents"]
    assert contents["runs"] == list(outcome.runs) and contents["scale"] == "default"


def test_twice_gives_the_same_bytes_and_leftovers_of_a_kill_are_swept(outcome, tmp_path):
    into = outcome.write(tmp_path)
    before = {path: path.read_bytes() for path in into.rglob("*") if path.is_file()}
    dead, living = into / ".claims.csv.999999999.part", into / f".claims.csv.{os.getppid()}.part"
    dead.touch()
    living.touch()
    outcome.write(tmp_path)
    assert not dead.exists() and living.exists()
    living.unlink()
    assert {path: path.read_bytes() for path in into.rglob("*") if path.is_file()} == before


def test_the_pages_show_text_as_text(outcome, tmp_path):
    page = (outcome.write(tmp_path) / "index.html").read_text()
    assert "<h1>Is the coin &lt;loaded&gt; &amp; fair?</h1>" in page
    assert "&lt;b&gt;Bold&lt;/b&gt; &amp; &quot;quoted&quot;" in page
    assert "<loaded>" not in page and "<b>Bold" not in page and "<heads>" not in page
    assert page.count("<li>") == 3
    assert re.search(r'<img alt="[^"]+" src="data:image/svg', page)
    text = (tmp_path / "coin" / "README.md").read_text()
    assert text.startswith("# coin\n\n*Is the coin <loaded> & fair?*")
    assert "![heads](heads.svg)" in text and "| coin | mean | count |" in text
    assert "- **undecided** (smaller scale: default): It takes many to see. [own]" in text


def test_a_frame_becomes_a_table_of_pythons_own_cells():
    frame = pandas.DataFrame(
        {
            "word": ["a", None],
            "number": [numpy.float64(0.5), numpy.nan],
            "whole": numpy.array([1, 2]),
            "mixed": [numpy.int64(3), "x"],
            "list": [[1, 2], None],
            "when": pandas.to_datetime(["2020-01-01", None]),
            "truth": [True, False],
        }
    )
    table = table_of_frame(frame)
    assert table.columns == {
        "word": ["a", None],
        "number": [0.5, None],
        "whole": [1, 2],
        "mixed": [3, "x"],
        "list": ["[1, 2]", None],
        "when": ["2020-01-01 00:00:00", None],
        "truth": [True, False],
    }
    assert Table.from_csv(table.to_csv()).columns == table.columns
    grouped = frame.groupby("word").agg({"whole": ["mean", "max"]})
    assert table_of_frame(grouped).columns == {
        "word": ["a"], "whole mean": [1.0], "whole max": [1],
    }  # fmt: skip


@pytest.mark.message
def test_what_is_no_table_is_refused():
    with pytest.raises(InvalidArgument, match="A table of a study is a Series"):
        table_of_frame(pandas.Series([1]))
    with pytest.raises(InvalidArgument, match="have one name: a, a"):
        table_of_frame(pandas.DataFrame([[1, 2]], columns=["a", "a"]))


@pytest.mark.parametrize("name", ["../escape", "Upper", "a b", "", "claims"])
def test_a_name_that_is_no_file_name_is_refused_and_nothing_is_written(
    name, outcome, tmp_path, monkeypatch
):
    monkeypatch.setattr(Coin, "tables", lambda *_: {name: pandas.DataFrame({"a": [1]})})
    with pytest.raises(InvalidArgument, match="cannot name a table or figure|cannot be called"):
        outcome.write(tmp_path)
    monkeypatch.setattr(Coin, "tables", lambda *_: {})
    monkeypatch.setattr(Coin, "figures", lambda *_: {name: Figure()})
    if name != "claims":
        with pytest.raises(InvalidArgument, match="cannot name a table or figure"):
            outcome.write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_ledger_holds_studies_of_ones_own_and_new_claims(outcome, tmp_path):
    outcome.write(tmp_path)
    path = tmp_path / "coin" / "claims.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))  # as if the third claim had been added since
    table = ledger(tmp_path).where(study="coin")
    assert [row["claim"] for row in table.rows()] == [each.name for each in Coin.claims()]
    assert table["verdict"][2] == "not conducted" and table["verdict"][0] != "not conducted"
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "claims.csv").write_text("".join(lines).replace('"coin"', '"elsewhere"'))
    assert len(ledger(tmp_path).where(study="elsewhere")) == 3
    written = write_ledger(tmp_path)
    assert "elsewhere" in (tmp_path / "README.md").read_text()
    assert len(written) == len(ledger(tmp_path))
    path.write_bytes(b"\xff\xfe nothing")
    with pytest.raises(CorruptFile, match="claims.csv is damaged"):
        ledger(tmp_path)


def test_cells_stay_in_their_row_of_a_markdown_table():
    from surplus.studies.summary import markdown_table

    lines = markdown_table(["a|b", "c"], [{"a|b": "x\ny|z", "c": 0.123456}])
    assert lines == ["| a\\|b | c |", "|---|---|", "| x y\\|z | 0.1235 |"]
