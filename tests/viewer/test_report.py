"""What the report holds, checked against the store; how it looks is for the browser tests."""

import json
import re
import subprocess
import sys

import pytest

from running import finished
from storing import written
from surplus.base import CorruptFile, StorageFailure
from surplus.methods import Ablation, Cutting, Geometry
from surplus.store import Store
from surplus.viewer import write_report
from surplus.viewer.page import render


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    run, where = finished(folder, num_steps=48)
    Ablation(repeats=3).apply(run, where)
    Cutting(sparsity=0.5, layers=("fc1",)).apply(run, where)
    Geometry().apply(run, where)
    write_report(run, folder / "report.html")
    return run, (folder / "report.html").read_text()


def data_of(page: str) -> dict:
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text.group(1))["views"]


def test_numbers_are_those_of_the_store(full):
    run, page = full
    views = data_of(page)
    assert set(views) == {"summary", "ablation", "comparison", "geometry", "learning"}
    curves = run.derived("ablation")[0].tables["curves"]
    for curve in views["ablation"]["layers"]["fc1"]:
        rows = curves.where(layer="fc1", score=curve["score"], remove=curve["remove"])
        for place in (0, 3, 8):
            values = rows.where(num_removed=place)["test_accuracy"]
            assert curve["test_accuracy"][place] == pytest.approx(
                sum(values) / len(values), rel=1e-4
            )
    potentials = run.derived("geometry")[0].tables["potentials"].where(layer="fc2")
    assert views["geometry"]["layers"]["fc2"]["frame_potential"] == potentials["frame_potential"]
    assert len(views["geometry"]["layers"]["fc1"]["norms"]) == 8
    assert views["learning"]["test_accuracy"][-1] == [
        48,
        run.series("evaluation")[-1].values["test_accuracy"],
    ]
    assert views["comparison"][0]["layers"] == [{"layer": "fc1", "size": 8, "kept": 4}]


def test_random_orders_come_with_their_spread(full):
    _, page = full
    (random,) = [c for c in data_of(page)["ablation"]["layers"]["fc1"] if c["score"] == "random"]
    assert random["repeats"] == 3
    assert len(random["test_accuracy_sd"]) == 9 and max(random["test_accuracy_sd"]) > 0


def test_it_asks_for_nothing_from_elsewhere(full):
    _, page = full
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?!data:)", markup)
    assert "@import" not in page and "url(http" not in page


def test_a_run_with_nothing_but_events_still_has_a_report(tmp_path):
    run = written(Store(tmp_path))
    write_report(run, tmp_path / "report.html")
    assert set(data_of((tmp_path / "report.html").read_text())) == {"summary", "learning"}


def test_damage_is_named_on_the_page_and_the_rest_is_shown(tmp_path):
    run = written(Store(tmp_path))
    snapshot = run.path / "snapshots" / "step-000010.safetensors"
    snapshot.write_bytes(snapshot.read_bytes()[:40])
    write_report(run, tmp_path / "report.html")
    views = data_of((tmp_path / "report.html").read_text())
    assert any("step-000010" in problem for problem in views["summary"]["problems"])
    assert views["learning"]["test_accuracy"][-1] == [20, 0.8]
    (run.path / "spec.json").write_text("{}")
    with pytest.raises(CorruptFile, match="spec.json is truncated or not a Surplus document"):
        write_report(run, tmp_path / "other.html")
    assert not (tmp_path / "other.html").exists()


def test_names_cannot_break_out_of_the_page():
    wicked = "</script><script>alert(1)</script>"
    page = render(wicked, {"views": {"summary": {"name": wicked}}})
    assert "<script>alert(1)" not in page
    assert data_of(page)["summary"]["name"] == wicked


def test_a_report_that_cannot_be_written_says_so(full, tmp_path):
    run, _ = full
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailure, match="Cannot write to"):
        write_report(run, tmp_path / "file" / "report.html")


def test_the_viewer_never_imports_torch():
    code = "import sys, surplus.viewer, surplus.store; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
