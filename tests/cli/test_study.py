"""`surplus study` and `surplus cite` of a study, as a person uses them."""

import subprocess
import sys
import warnings

import pytest

from flipping import short
from surplus.base import Table, cite
from surplus.cli import main
from surplus.studies import conduct

OWN = '''
from dataclasses import dataclass
from typing import ClassVar
from flipping import Flip, short
from surplus.base import register
from surplus.studies import Arm, Study, claim, pick, share_above

@register("own-{name}")
@dataclass(frozen=True, kw_only=True, slots=True)
class Own(Study):
    """One coin."""
    question: ClassVar = "Heads?"
    smoke: ClassVar = {{"seeds": 2}}
    seeds: int = 3

    def arms(self):
        yield Arm(labels={{"coin": "own"}}, spec=short(), methods=(Flip(),))

    @claim("It shows heads.", source="{source}")
    def heads(self, found):
        """Exact."""
        first = pick(found["flip/flips"], flip=0)
        return share_above(first["heads"].sum(), len(first), what="heads", bound=0.5)
'''


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SURPLUS_RUNS", raising=False)
    return tmp_path


def own(home, name, source="own"):
    (home / f"{name}.py").write_text(OWN.format(name=name, source=source))
    return f"{name}.py"


def local(*words):
    return main(["study", *words, "--quiet", "--launcher", "local"])


def test_from_a_dry_run_to_the_ledger(home, capsys):
    file = own(home, "whole")
    assert local(file, "--dry-run") == 0
    planned = capsys.readouterr()
    assert (
        "3 of 3 runs are to be trained" in planned.err and "3 computations are left" in planned.err
    )
    assert planned.out.count("/seed-000") == 3
    assert [each.name for each in home.iterdir() if each.is_dir()] in ([], ["__pycache__"])

    assert local("--claims", file) == 0
    assert "not conducted" in capsys.readouterr().out
    assert local(file) == 0
    told = capsys.readouterr()
    assert told.out.startswith("Heads? (default scale, 3 runs)\n")
    assert "It shows heads.\n    heads: " in told.out
    assert "results/own-whole" in told.err
    into = home / "results" / "own-whole"
    assert {"README.md", "claims.csv", "index.html", "references.bib", "study.json", "found"} == {
        each.name for each in into.iterdir()
    }
    before = {path: path.read_bytes() for path in into.rglob("*") if path.is_file()}

    assert local(file, "--dry-run") == 0
    assert "0 of 3 runs are to be trained" in capsys.readouterr().err
    assert local(file) == 0
    assert {path: path.read_bytes() for path in into.rglob("*") if path.is_file()} == before

    capsys.readouterr()
    for words in (["--claims"], ["--claims", "own-whole"], ["--claims", file]):
        assert local(*words) == 0
        assert "own-whole" in capsys.readouterr().out
    assert "own-whole" in (home / "results" / "README.md").read_text()


def test_a_study_in_a_module_of_the_folder(home, capsys):
    own(home, "modular")
    assert local("modular:Own", "--smoke") == 0
    assert "(smoke scale, 2 runs)" in capsys.readouterr().out
    assert local("modular:Other") == 2
    assert "`modular` has no registered study called `Other`" in capsys.readouterr().err


def test_all_studies_are_listed_with_their_questions(capsys):
    assert main(["study", "--list"]) == 0
    printed = capsys.readouterr().out
    assert "synthesis" in printed and "?" in printed


def test_the_claims_of_a_study_that_was_not_conducted(home, capsys):
    assert local("--claims", "synthesis") == 0
    assert "not conducted" in capsys.readouterr().out
    assert local("--claims", "synthesi") == 2
    assert "Did you mean `synthesis`?" in capsys.readouterr().err
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "Name a study: `surplus study --list`"),
        (["synthesi"], "Did you mean `synthesis`?"),
        (["none.py"], "There is no file"),
        (["nothing:Study"], "`nothing` cannot be imported: ModuleNotFoundError"),
        (["synthesis", "--smoke", "--full"], "`--smoke` and `--full` exclude each other"),
        (["synthesis", "--seeds", "0"], "`seeds` is 0; a study needs at least one replica"),
        (["synthesis", "--seeds", "0", "--dry-run"], "`seeds` is 0"),
        (["synthesis", "--launcher", "process"], "Did you mean `processes`?"),
        (["synthesis", "--launcher", "processes:workers=0"], "`workers` is 0"),
        (["synthesis", "--launcher", "process", "--dry-run"], "Did you mean `processes`?"),
    ],
)
def test_wrong_usage_says_what_to_do_and_leaves_nothing(home, words, told, capsys):
    launcher = [] if "--launcher" in words else ["--launcher", "local"]
    assert main(["study", *words, "--quiet", *launcher]) == 2
    printed = capsys.readouterr()
    assert told in printed.err and printed.out == ""
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1\n", "defines 0 registered studies; it must define exactly one"),
        ("1 / 0\n", "cannot be imported: ZeroDivisionError: division by zero"),
        ("def (:\n", "cannot be imported: SyntaxError"),
        ("raise SystemExit(0)\n", "cannot be imported: SystemExit"),
        (OWN.format(name="x", source="own").replace("@register", "# "), "(`@register` is missing)"),
        (
            OWN.format(name="y", source="own").replace('"seeds": 2', '"seed": 2'),
            "`Own.smoke` sets `seed`",
        ),
        (OWN.format(name="z", source="nobody2020nothing"), "nobody2020nothing"),
        (
            OWN.format(name="w", source="own").replace('{"coin": "own"}', '{"run": 1}'),
            "the label `run`",
        ),
    ],
)
def test_a_wrong_file_is_refused_before_anything_is_trained(home, text, told, capsys):
    (home / "wrong.py").write_text(text)
    assert local("wrong.py", "--smoke") == 2
    assert told in capsys.readouterr().err
    assert not (home / "runs").exists() and not (home / "results").exists()


@pytest.mark.parametrize("out", ["file", "file/below", "results"])
def test_an_out_that_cannot_be_written_is_found_out_before_training(home, out, capsys, monkeypatch):
    monkeypatch.setattr(conduct, "_do", lambda *_: pytest.fail("something was begun"))
    (home / "file").write_text("mine")
    name = f"early-{out.replace('/', '-')}"
    (home / "results" / f"own-{name}").mkdir(parents=True)
    (home / "results" / f"own-{name}" / "thesis.txt").write_text("mine")
    status = local(own(home, name), "--out", out)
    assert status == (2 if out == "results" else 1)
    told = capsys.readouterr().err
    assert (
        "holds something else (thesis.txt)" in told
        if out == "results"
        else "Cannot write to" in told
    )
    assert not (home / "runs").exists()


def test_somebodys_readme_is_left_alone(home, capsys):
    (home / "README.md").write_text("# My project\n")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert local(own(home, "readme"), "--smoke", "--out", ".") == 0
    assert "surplus: README.md is not a ledger and is left alone" in capsys.readouterr().err
    assert (home / "README.md").read_text() == "# My project\n"
    assert (home / "ledger.md").read_text().startswith("# The ledger of claims")


def test_a_study_is_cited_by_name_file_and_module(home, capsys):
    assert main(["cite", "coin"]) == 0
    text = capsys.readouterr().out.strip()
    assert text == cite(
        ["lecun1998gradient", short()]
    )  # the source of a claim, and the optimiser's paper
    assert main(["cite", own(home, "cited", source="frankle2019lottery")]) == 0
    assert capsys.readouterr().out.strip() == cite(["frankle2019lottery", short()])
    assert main(["cite", "coins"]) == 2
    assert "Did you mean `coin`?" in capsys.readouterr().err
    assert local("coin", "--smoke") == 0
    assert (home / "results" / "coin" / "references.bib").read_text() == f"{text}\n"


def test_a_damaged_ledger_is_named(home, capsys):
    folder = home / "results" / "gone"
    folder.mkdir(parents=True)
    (folder / "claims.csv").write_text('"a","b"\n1\n')
    assert local("--claims") == 1
    assert "claims.csv is damaged" in capsys.readouterr().err
    (folder / "claims.csv").write_text(Table({"study": ["x"], "norm": [1]}).to_csv())
    assert local("--claims") == 1
    assert "no table of claims" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["pandas", "scipy", "matplotlib"])
def test_without_the_extra_it_says_what_to_install(missing, home):
    code = (
        f"import sys; sys.modules['{missing}'] = None\n"
        "from surplus.cli import main\n"
        "assert main(['cite', 'magnitude']) == 0\n"
        "assert main(['cite', 'magnitud']) == 2\n"
        "sys.exit(main(['study', '--list']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Studies need pandas, SciPy and Matplotlib" in done.stderr
    assert "pip install 'surplus[analysis]'" in done.stderr
