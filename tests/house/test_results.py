"""The results that are kept are those of the studies as they stand, and every page made of them is up to date."""

import importlib.util
from pathlib import Path

import pytest

from registers import own
from surplus.base import Table
from surplus.studies import Study, ledger
from surplus.studies.ledger import ledger_page, synthesis_page

ROOT = Path(__file__).parent.parent.parent
RESULTS = ROOT / "docs" / "results"
STUDIES = own(Study)


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_studies", ROOT / "bench" / "studies.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def only_our_own(monkeypatch):
    """Other tests register studies, too."""
    monkeypatch.setattr(Study, "_members", dict(STUDIES))


@pytest.mark.parametrize("kind", STUDIES)
def test_every_study_was_conducted_and_its_claims_are_those_of_the_file(kind):
    kept = Table.from_csv((RESULTS / kind / "claims.csv").read_text())
    stated = STUDIES[kind].claims()
    assert kept["claim"] == [each.name for each in stated]
    for column in ("sentence", "source"):
        assert kept[column] == [getattr(each, column) for each in stated]
    assert set(kept["scale"]) == {"default"}


def test_the_ledger_and_the_synthesis_are_made_of_the_results():
    found = ledger(RESULTS)
    assert (RESULTS / "README.md").read_text().endswith(ledger_page(found))
    assert (RESULTS / "synthesis.md").read_text().endswith(synthesis_page(found))


def test_the_readme_has_the_ledger(bench):
    readme = (ROOT / "README.md").read_text()
    assert bench.BEGIN + bench.readme_ledger(ledger(RESULTS)) + bench.END in readme
