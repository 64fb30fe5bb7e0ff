"""The command line as a person uses it: what it prints, what it leaves behind, what it says when something is wrong."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import surplus
from surplus.base import Table
from surplus.cli import COMMANDS, main
from surplus.edits import load
from surplus.store import Store

QUICK = ["--training.num-steps", "40", "--quiet"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SURPLUS_RUNS", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder of runs with one short run of LeNet on the embedded digits."""
    folder = tmp_path_factory.mktemp("cli")
    assert main(["train", "--runs", str(folder), "--net", "lenet-300-100:width=0.1", *QUICK]) == 0
    return folder


def test_the_list_of_commands_is_frozen():
    assert list(COMMANDS) == [
        "demo",
        "train",
        "prune",
        "measure",
        "export",
        "runs",
        "study",
        "report",
        "cite",
    ]


def test_help_imports_nothing_that_is_slow():
    """No test asserts a time; what makes help slow is an import, and that can be seen."""
    code = (
        "import sys; from surplus.cli import main; main(['--help']);"
        "slow = {'torch', 'tyro', 'numpy', 'rich', 'jaxtyping', 'safetensors'} & set(sys.modules);"
        "assert not slow, slow"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, sentence in COMMANDS.items():
        assert f"{name:<8} {sentence}" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    assert f"usage: surplus {name}" in capsys.readouterr().out


def test_listing_runs_does_not_import_torch(trained):
    code = (
        "import sys; from surplus.cli import main;"
        f"main(['runs', '--runs', {str(trained)!r}]); sys.exit('torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode
        == 0
    )


def test_a_run_is_trained_listed_shown_pruned_reported_and_deleted(home, capsys):
    assert main(["train", "--net", "lenet-300-100:width=0.1", "--seeds", "0", "1", *QUICK]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(
        r"[0-9a-f]{16}/seed-0000  complete at step 40  validation accuracy \S+ %, test accuracy \S+ %",
        lines[0],
    )
    name = lines[0].split()[0]

    assert main(["runs"]) == 0
    listed = capsys.readouterr().out
    assert name in listed and "2 runs" in listed
    assert main(["runs", name]) == 0
    assert "problems: none" in capsys.readouterr().out

    out = home / "small.safetensors"
    words = ["prune", name, "--layers", "fc1", "--sparsity", "0.5", "--out", str(out), "--quiet"]
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "fc1: test accuracy [%] by share of its 30 units removed" in printed.out
    assert "Best on validation at sparsity 0.5:" in printed.err
    assert re.search(r"^cut +\d", printed.out, re.MULTILINE)
    assert load(out).fc1.out_features == 15

    assert main(["prune", str(out), "--layers", "fc1", "--sparsity", "0.2", "--quiet"]) == 0
    printed = capsys.readouterr()
    assert "fc1: test accuracy [%] by share of its 15 units removed" in printed.out
    curves = Table.from_csv((home / "small.ablation.csv").read_text())
    assert max(curves["num_removed"]) == 15
    assert (home / "small.comparison.csv").exists()

    assert main(["report", name]) == 0
    assert capsys.readouterr().out == "report.html\n"
    assert (home / "report.html").stat().st_size > 100_000

    assert main(["runs", "--delete", name]) == 0
    assert f"Deleted {name}" in capsys.readouterr().out
    assert main(["runs", "--rebuild", "--json"]) == 0
    assert [row["seed"] for row in json.loads(capsys.readouterr().out)] == [1]


def test_a_second_run_of_the_same_command_says_that_it_is_done(trained, capsys):
    words = ["train", "--runs", str(trained), "--net", "lenet-300-100:width=0.1", *QUICK]
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "is finished already and is left as it is." in printed.err
    assert "complete at step 40" in printed.out


def test_a_dry_run_prints_a_spec_that_can_be_given_back(home, capsys):
    assert (
        main(
            [
                "train",
                "lenet-mnist",
                "--net.width",
                "0.5",
                "--task.labels.noise",
                "0.1",
                "--dry-run",
            ]
        )
        == 0
    )
    first = json.loads(capsys.readouterr().out)
    assert first["spec"]["net"]["width"] == 0.5
    (home / "spec.json").write_text(json.dumps(first))
    assert main(["train", "--spec-file", "spec.json", "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert not (home / "runs").exists()


def test_parts_are_chosen_by_name_and_their_fields_are_flags(home, capsys):
    words = ["train", "--optimizer", "adamw", "--training.optimizer.weight-decay", "0.3"]
    words += ["--schedule", "warmup:num_steps=5", "--snapshots", "log-spaced", "--dry-run"]
    assert main(words) == 0
    training = json.loads(capsys.readouterr().out)["spec"]["training"]
    assert training["optimizer"]["kind"] == "adamw"
    assert training["optimizer"]["weight_decay"] == 0.3
    assert training["schedule"]["num_steps"] == 5
    assert training["snapshots"]["kind"] == "log-spaced"


def test_optimisers_that_wrap_another_are_chosen_by_name(home, capsys):
    words = ["train", "--optimizer", "rolling-median:inner=adam", "--dry-run"]
    assert main([*words, "--training.optimizer.inner.learning-rate", "0.02"]) == 0
    optimizer = json.loads(capsys.readouterr().out)["spec"]["training"]["optimizer"]
    assert optimizer["kind"] == "rolling-median"
    assert optimizer["inner"]["kind"] == "adam" and optimizer["inner"]["learning_rate"] == 0.02
    small = ["train", "--net", "lenet-300-100:width=0.05", "--training.num-steps", "3", "--quiet"]
    for named in ("median-of-three", "winsorised", "subspace:dimension=20,projection=sparse"):
        assert main([*small, "--optimizer", named, "--training.batch-size", "8"]) == 0
        assert "complete at step 3" in capsys.readouterr().out


def test_a_network_is_pruned_while_it_trains(home, capsys):
    words = ["train", "--net", "lenet-300-100:width=0.1", "--training.num-steps", "20", "--quiet"]
    words += ["--interventions", "pruning:sparsity=0.5,score=taylor,first=5,last=15,every=5"]
    assert main(words) == 0
    events = Store("runs").runs()[0].series("intervention")
    assert [event.step for event in events] == [5, 10, 15]
    assert len(events[-1].values["removed"]["fc1"]) == 15


def test_forks_from_the_command_line(trained, capsys):
    words = ["prune", "last", "--runs", str(trained), "--layers", "fc1", "--sparsity", "0.5"]
    assert main([*words, "--fork-at", "10", "20", "--scores", "magnitude", "--quiet"]) == 0
    printed = capsys.readouterr().out
    for arm in ("unpruned", "pruned at 10", "pruned at 20", "random at start"):
        assert arm in printed


WRONG = [
    (["trian"], "surplus: there is no command `trian`. Did you mean `train`?"),
    (["train", "lenet-mnst"], "There is no recipe called `lenet-mnst`. Did you mean `lenet-mnist"),
    (["train", "--net", "lenet"], "There is no net called `lenet`. Did you mean `lenet-300-100`?"),
    (["train", "--task", "mnits"], "There is no task called `mnits`. Did you mean `mnist`?"),
    (["train", "--optimizer", "adan"], "There is no optimizer called `adan`. Did you mean `adam`?"),
    (["train", "--net", "conv-2:wdth=1"], "has no field `wdth`. Did you mean `width`?"),
    (["train", "--net", "conv-2:width"], "has a setting without a value: write `conv-2:width=...`"),
    (["train", "--spec-file", "absent.json"], "There is no spec file absent.json"),
    (["train", "--spec-file", "broken.json"], "broken.json is not JSON: "),
    (["train", "--spec-file", "list.json"], "`spec` is [1]; expected an object with the fields of"),
    (
        ["train", "--optimizer", "sgd:nesterov=true"],
        "`nesterov` needs a `momentum` greater than 0.",
    ),
    (
        ["train", "--optimizer", "adam:betas=[0.9]"],
        "`optimizer.betas` is [0.9]; expected a list of 2 values.",
    ),
    (["train", "--threads", "0"], "`--threads` is 0; it must be at least 1."),
    (["train", "--device", "tpu-9"], '`device` is "tpu-9"; use "cpu" or "cuda".'),
    (
        ["prune", "--scores", "magnitud"],
        "There is no score called `magnitud`. Did you mean `magnitude`?",
    ),
    (["prune", "--scores", "magnitude:power=3"], "`power` is 3; it must be 1 or 2."),
    (["prune", "--layers", "fc9"], "There is no layer called `fc9`."),
    (
        ["prune", "--sparsity", "80"],
        "`sparsity` is 80; it must lie in [0, 1): it is the fraction removed.",
    ),
    (["prune", "--sparsity", "1"], "Removing everything leaves no network."),
    (["prune", "--out", "x.safetensors"], "`--out` and `--fork-at` need `--sparsity`"),
    (["prune", "ffff"], "There is no run `ffff`"),
    (
        ["prune", "--scores", "random", "--sparsity", "0.5"],
        "`--scores` holds no criterion but random",
    ),
    (["prune", "--task", "mnist-10k"], "`--task` is for bundles"),
    (["prune", "--sparsity", "0.5", "--out", "x.bin"], "name a file that ends in .safetensors"),
    (
        ["prune", "--sparsity", "0.5", "--out", "x.safetensors", "--fork-at", "3"],
        "`--out` does not go with `--fork-at`",
    ),
    (["prune", "--device", "tpu-9"], '`device` is "tpu-9"; use "cpu" or "cuda".'),
    (["train", "--interventions", "pruning:sparsity=50"], "For 50 percent pass 0.5."),
    (["train", "--seeds", "-1"], "`seeds` is [-1]; it takes at least one whole number from 0 on"),
    (["train", "--seeds"], "`seeds` is []; it takes at least one whole number"),
    (["train", "--net.width", "0"], "`width` is 0.0; it is a multiplier and must be positive"),
    (["train", "--dry-run", "lenet-mist"], "Did you mean `lenet-mnist`?"),
    (
        ["train", "lenet-mnist", "--spec-file", "x.json"],
        "`lenet-mnist` and `--spec-file` both say what to train",
    ),
    (["report", "ffff"], "There is no run `ffff`"),
    (["runs", "--delete", "ffff"], "There is no run `ffff`"),
    (["cite", "magnitud"], "Did you mean `magnitude`?"),
]


@pytest.mark.parametrize(
    ("words", "message"), WRONG, ids=lambda case: " ".join(case) if isinstance(case, list) else ""
)
def test_wrong_words_get_one_helpful_line(words, message, trained, home, capsys, monkeypatch):
    monkeypatch.setenv("SURPLUS_RUNS", str(trained))
    (home / "broken.json").write_text("{'net'")
    (home / "list.json").write_text("[1]")
    assert main(words) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.startswith("surplus") and printed.err.count("\n") == 1
    assert printed.out == ""


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--net.wdith", "2"],
        ["train", "--training.num-steps", "many"],
        ["prune", "--remove", "middle"],
        ["train", "--training.batch-size", "0"],
        ["train", "--training.optimizer.learning-rate", "-1"],
        ["train", "--training.optimizer.weight-decay", "-1"],
        ["train", "--training.optimizer.momentum", "2"],
        ["train", "--training.forks", "-5"],
    ],
)
def test_flags_that_do_not_exist_or_fit_end_with_usage(words, trained, capsys, monkeypatch):
    monkeypatch.setenv("SURPLUS_RUNS", str(trained))
    try:
        status = main(words)
    except SystemExit as left:
        status = left.code
    assert status == 2


@pytest.mark.parametrize(
    "words",
    [
        ["conv2-cifar10", "--dry-run"],
        ["--dry-run", "conv2-cifar10"],
        ["--net.width", "0.5", "conv2-cifar10", "--dry-run"],
        ["--training.num_steps=40", "conv2-cifar10", "--dry-run"],
    ],
)
def test_a_recipe_may_stand_anywhere(words, home, capsys):
    assert main(["train", *words]) == 0
    spec = json.loads(capsys.readouterr().out)["spec"]
    assert spec["net"]["kind"] == "conv-2"
    assert spec["task"]["kind"] == "cifar-10"
    assert "--training.num_steps=40" not in words or spec["training"]["num_steps"] == 40


def test_settings_may_be_lists(home, capsys):
    words = 'pruning:sparsity=0.5,layers=["fc1","fc2"],first=10,last=20'
    assert main(["train", "--dry-run", "--interventions", words]) == 0
    (found,) = json.loads(capsys.readouterr().out)["spec"]["interventions"]
    assert (found["layers"], found["first"], found["last"]) == (["fc1", "fc2"], 10, 20)


def test_a_diverged_run_is_reported_and_not_pruned(home, capsys):
    words = "train lenet-mnist-10k --net.width 0.05 --training.num-epochs 2 --training.optimizer.learning-rate 1e9"
    assert main(words.split()) == 1
    assert "diverged" in capsys.readouterr().out
    assert main(["report", "last", "--out", "r.html"]) == 0
    assert Path("r.html").stat().st_size > 10_000
    capsys.readouterr()
    assert main(["prune", "last", "--layers", "fc1"]) == 2
    assert "gave NaN for" in capsys.readouterr().err


def test_no_runs_yet(home, capsys):
    assert main(["runs"]) == 0
    assert capsys.readouterr().out == "There are no runs in runs. `surplus train` makes one.\n"
    assert main(["report"]) == 2
    assert "There are no runs in runs. Train one with `surplus train`" in capsys.readouterr().err


def test_missing_data_say_where_and_how(home, capsys, monkeypatch):
    monkeypatch.delenv("SURPLUS_DATA", raising=False)
    assert main(["train", "lenet-mnist", "--data", str(home), *QUICK]) == 1
    printed = capsys.readouterr().err
    assert f"is not in the data folder {home} (given as `--data`)" in printed
    assert "pass `--download` to fetch it" in printed


def test_a_folder_that_cannot_be_written_is_named(home, capsys):
    (home / "file").write_text("")
    assert main(["train", "--runs", str(home / "file" / "runs"), *QUICK]) == 1
    assert "Make the folder writable, or choose another" in capsys.readouterr().err


def test_a_damaged_run_is_shown_by_name(home, capsys):
    assert main(["train", "--net", "lenet-300-100:width=0.1", *QUICK]) == 0
    run = Store("runs").runs()[0]
    path = sorted((run.path / "snapshots").iterdir())[0]
    path.write_bytes(path.read_bytes()[:100])
    capsys.readouterr()
    assert main(["runs", "last"]) == 1
    assert path.name in capsys.readouterr().out


def test_cite_prints_the_papers(trained, capsys):
    assert main(["cite", "frame-potential"]) == 0
    assert "heitmann2020sources" in capsys.readouterr().out
    assert main(["cite", "last", "--runs", str(trained)]) == 0
    assert "glorot2010understanding" in capsys.readouterr().out
    assert main(["cite", "random"]) == 0
    assert "is Surplus's own" in capsys.readouterr().out
    assert main(["cite", "lecun1998gradient"]) == 0
    assert capsys.readouterr().out.startswith("@article{lecun1998gradient,")


def test_ctrl_c_is_one_line_and_status_130(home, capsys, monkeypatch):
    def stopped(words):
        raise KeyboardInterrupt

    monkeypatch.setattr("surplus.cli.runs.run", stopped)
    import surplus.cli.runs  # noqa: F401

    assert main(["runs"]) == 130
    assert (
        "stopped. Nothing is lost: the same command goes on from here." in capsys.readouterr().err
    )


def test_a_killed_command_goes_on_when_it_is_given_again(home):
    """Kill the real command with SIGKILL, give it again, and compare with one that was never killed."""
    words = ["train", "--net", "lenet-300-100:width=0.2", "--training.num-steps", "900", "--quiet"]
    words += ["--snapshots", "every-steps:every=100"]
    command = [
        sys.executable,
        "-c",
        "import sys; from surplus.cli import main; sys.exit(main(sys.argv[1:]))",
    ]
    first = subprocess.Popen([*command, *words])
    for _ in range(12_000):  # a busy machine takes its time to start
        if list(home.glob("runs/*/*/snapshots/step-000200.safetensors")):
            break
        time.sleep(0.01)
    first.kill()
    assert first.wait() == -9
    assert Store("runs").runs()[0].status().state == "interrupted"
    again = subprocess.run([*command, *words], check=True, capture_output=True, text=True)
    whole = subprocess.run(
        [*command, *words, "--runs", "whole"], check=True, capture_output=True, text=True
    )
    assert again.stdout == whole.stdout
    for step in (0, 300, 900):
        one, other = (Store(root).runs()[0].snapshot(step) for root in ("runs", "whole"))
        assert one == other


def test_the_demo_does_the_main_job(home, capsys):
    assert main(["demo", "--quiet"]) == 0
    printed = capsys.readouterr()
    for heading in ("fc1: test accuracy", "fc2: test accuracy", "fc1 at sparsity 0.5"):
        assert heading in printed.out
    for row in ("magnitude", "frame-potential", "random", "dense", "masked", "cut"):
        assert re.search(rf"^{row} ", printed.out, re.MULTILINE)
    assert (home / "report.html").exists()
    assert printed.out.splitlines()[-1] == str(home / "report.html")
    assert main(["demo", "--quiet"]) == 0
    assert capsys.readouterr().out == printed.out


def test_the_installed_script_answers():
    script = Path(sys.executable).with_name("surplus")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"surplus {surplus.__version__}\n"
    done = subprocess.run([script, "trian"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("surplus: there is no command `trian`.")
