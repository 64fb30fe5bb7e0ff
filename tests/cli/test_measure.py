"""`surplus measure` on a run, a bundle and a model of one's own."""

import pytest
import torch

import running
import surplus as sp
from surplus.base import Table
from surplus.cli import main, own
from surplus.methods import subject_of_run
from surplus.methods.cutting import Cutting, write_cut

MODULE = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))

def batches():
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(20, 6, generator=generator), torch.arange(20) % 3) for _ in range(2)]
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return running.finished(tmp_path_factory.mktemp("measured"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    name = f"mine_{abs(hash(tmp_path.name))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


def test_a_run_gets_its_verdict(kept, capsys):
    _, context = kept
    assert main(["measure", "last", "--runs", str(context.store.root), "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "fc1" in printed and "fc2" in printed and "8 units" in printed


def test_what_is_asked_for_by_name_is_printed_and_written(kept, tmp_path, capsys):
    run, context = kept
    out = tmp_path / "found.csv"
    words = ["--runs", str(context.store.root), "--by", "dead-units", "--at", "all"]
    assert main(["measure", run.name, *words, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "num_dead" in printed.out and str(out) in printed.err
    table = Table.from_csv(out.read_text())
    assert set(table["step"]) == set(run.snapshots())
    assert set(table["measure"]) == {"dead-units"}


def test_parquet_says_the_same(kept, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    run, context = kept
    words = ["measure", run.name, "--runs", str(context.store.root), "--by", "frame-potential"]
    for suffix in ("csv", "parquet"):
        assert main([*words, "--out", str(tmp_path / f"found.{suffix}")]) == 0
    one = pandas.read_parquet(tmp_path / "found.parquet")
    other = Table.from_csv((tmp_path / "found.csv").read_text())
    assert list(one.columns) == list(other.columns)
    assert one["value"].tolist() == [float(value) for value in other["value"]]


def test_a_bundle_is_measured_on_the_task_that_it_names(kept, tmp_path, capsys):
    run, context = kept
    subject = subject_of_run(run, context)
    _, edits, _ = Cutting(sparsity=0.5, layers=("fc1",)).cut(subject)
    write_cut(subject, edits, tmp_path / "small.safetensors")
    words = ["--by", "dead-units", "--layers", "fc1"]
    assert main(["measure", str(tmp_path / "small.safetensors"), *words]) == 0
    assert "num_units" in capsys.readouterr().out


def test_a_model_of_ones_own_is_measured(folder, capsys):
    words = ["measure", f"{folder}:net", "--batches", f"{folder}:batches"]
    assert main([*words, "--by", "dead-units"]) == 0
    assert "num_dead" in capsys.readouterr().out
    assert main([*words[:2], "--example", "2x6", "--by", "dead-units", "frame-potential"]) == 0
    printed = capsys.readouterr().out
    assert "no data were given" in printed and "effective_num_directions" in printed


def test_a_model_of_ones_own_is_compared_with_its_start(folder, tmp_path, capsys):
    start = own.called(f"{folder}:net")
    with torch.no_grad():
        start[0].weight[2] += 3.0  # of which 6 weights are 3 apart: 3 sqrt(6)
    sp.save(tmp_path / "start.safetensors", start)
    words = ["measure", f"{folder}:net", "--example", "2x6", "--by", "distance-from-init"]
    assert main([*words, "--initial", str(tmp_path / "start.safetensors"), "--out", "d.csv"]) == 0
    found = Table.from_csv((tmp_path / "d.csv").read_text())
    assert found.where(layer="0", quantity="distance")["value"] == pytest.approx(
        [54**0.5], rel=1e-6
    )
    assert main(words) == 0
    assert "pass `initial=`, or `--initial`" in capsys.readouterr().out


def test_a_model_of_ones_own_has_to_be_called(folder, capsys):
    assert main(["measure", f"{folder}:net"]) == 2
    assert "pass `--batches` (module:loader), or an `--example`" in capsys.readouterr().err


def test_all_measures_are_named(capsys):
    assert main(["measure", "--list"]) == 0
    printed = capsys.readouterr().out
    assert "dead-units" in printed and "frame-potential" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--by", "dead-unit"], "dead-units"),
        (["--at", "end"], "`--at` is end; it is the step of a snapshot, or `all`"),
        (["--at", "3"], "has no snapshot at step 3"),
        (["--examples", "-1"], "`--examples` is -1; 0 takes all"),
        (["--out", "found.txt"], "it must end in .csv or .parquet"),
        (["--example", "1x3"], "`--example` does not go with"),
        (["--initial", "start.safetensors"], "`--initial` does not go with"),
        (["--task", "mnist"], "`--task` does not go with"),
        (["--layers", "fc9"], "fc9"),
    ],
)
def test_what_does_not_fit_is_said(words, message, kept, capsys):
    run, context = kept
    assert main(["measure", run.name, "--runs", str(context.store.root), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_second_run_is_seen(kept, capsys):
    run, context = kept
    words = ["--runs", str(context.store.root), "--against", run.name, "--by", "dead-units"]
    assert main(["measure", run.name, *words]) == 0
    assert "num_dead" in capsys.readouterr().out


def test_a_setting_can_be_none(kept, capsys):
    run, context = kept
    words = ["--runs", str(context.store.root), "--by", "removable-units:most_macs=none"]
    assert main(["measure", run.name, *words]) == 0
    assert "num_removable_each" in capsys.readouterr().out


@pytest.mark.parametrize("more", [[], ["--at", "all"], ["--at", "0"]])
def test_a_run_without_snapshots_is_said(tmp_path, capsys, more):
    run, context = running.finished(tmp_path)
    for path in tmp_path.rglob("snapshots/*"):
        path.unlink()
    words = ["--runs", str(context.store.root), "--by", "norms", *more]
    assert main(["measure", run.name, *words]) == 2
    assert "has no snapshots" in capsys.readouterr().err
