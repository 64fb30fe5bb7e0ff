"""The house rules that no tool checks: cards, references, lengths, the words of the table."""

import ast
import importlib
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import surplus
from registers import FAMILIES, own
from surplus.base import bibliography, members
from surplus.measures import Measure
from surplus.scores import Score

ROOT = Path(surplus.__file__).parent
ROOMS = sorted(
    path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("_")
)
FILES = sorted(path for path in ROOT.rglob("*.py"))
MEMBERS = [member for family in FAMILIES for member in own(family).values()]
DECISIONS = ROOT.parent.parent / "decisions"


def card_of(room):
    return ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text())) or ""


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_its_card(room):
    card = card_of(room)
    assert "What lives here:" in card
    assert "May import:" in card
    assert re.search(r"^To add ", card, re.MULTILINE)


@pytest.mark.parametrize("room", ROOMS)
def test_a_card_says_what_the_room_may_import(room):
    """The card lists the rooms that the room does import, and no other."""
    allowed = re.search(r"May import: (.*?)(?:\. |\.\n|\.$)", card_of(room), re.DOTALL).group(1)
    if allowed.startswith("every other room"):
        return
    listed = set(re.findall(r"`(\w+)`", allowed))
    imported = set()
    for path in (ROOT / room).rglob("*.py"):
        found = re.findall(r"^\s*(?:from|import) surplus\.(\w+)", path.read_text(), re.MULTILINE)
        imported |= set(found) - {room}
    assert imported == listed


@pytest.mark.parametrize("room", ROOMS)
def test_a_card_names_what_the_room_exports(room):
    """Members are left out: they are found, one per file."""
    module = importlib.import_module(f"surplus.{room}")
    exported = {
        name for name in getattr(module, "__all__", ()) if getattr(module, name) not in MEMBERS
    }
    assert exported - set(re.findall(r"`(\w+)`", card_of(room))) == set()


def test_every_reference_stands_in_the_bibliography_and_every_entry_is_used():
    known = set(bibliography())
    used = {key for member in MEMBERS for key in member.references}
    assert used <= known
    text = "".join(path.read_text() for path in FILES)
    assert {key for key in known if key not in text} == set()


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: f"{member.__name__}")
def test_every_member_says_where_it_comes_from(member):
    """A key of the bibliography and the place, or `own` with the decision note that says why."""
    named = re.search(r"^\s*Reference: (.*)", member.__doc__, re.DOTALL | re.MULTILINE).group(1)
    if named.startswith("own"):
        assert member.references == ()
        assert notes_in(named)
    else:
        assert member.references and re.match(rf"{member.references[0]}[,.;]", named)


def test_every_measure_has_its_row():
    """And no row is of a measure that is no more."""
    page = (ROOT.parent.parent / "docs" / "measures.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", page, re.MULTILINE)
    assert sorted(rows) == sorted(own(Measure))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_decision_that_is_named_stands_in_its_note(path):
    """And whatever is called the library's own names one."""
    text = path.read_text()
    assert all((DECISIONS / note).is_file() for note in notes_in(text))
    for after in re.findall(r"Reference: own(.*?)(?:\n\n|\"\"\")", text, re.DOTALL):
        assert notes_in(after)


def notes_in(text):
    return re.findall(r"decisions/(\d{4}-[\w-]+\.md)", text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_class_without_parents_is_final(path):
    """Abstract or final: members of families are final by themselves, the rest says so."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and not node.bases:
            assert any(
                isinstance(each, ast.Name) and each.id == "final" for each in node.decorator_list
            )


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{node.name} is too long"


def test_the_median_file_is_short():
    lengths = sorted(len(path.read_text().splitlines()) for path in FILES)
    assert lengths[len(lengths) // 2] < 120


FORBIDDEN = {
    r"\bimportance\b": "score",
    r"\bsaliency\b": "score",
    r"\bpickle\b": "safetensors (nothing is pickled)",
    r"from __future__ import annotations": "nothing: it turns off the run-time shape check",
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_words_are_those_of_the_table(path):
    text = re.sub(r"no pickle|morcos2018importance", "", path.read_text())
    for pattern, instead in FORBIDDEN.items():
        assert not re.search(pattern, text), f"say {instead}"


def test_every_public_name_is_loaded_on_demand():
    for name in surplus.__all__:
        assert getattr(surplus, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'prune'"):
        surplus.prune  # noqa: B018


def test_the_version_is_one():
    cff = (ROOT.parent.parent / "CITATION.cff").read_text()
    assert f"version: {surplus.__version__}\n" in cff


def test_everything_the_tests_run_with_is_pinned():
    root = ROOT.parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text())
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (root / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    groups = project["dependency-groups"]
    wanted = project["project"]["dependencies"] + [
        each for name in ("test", "dev", "bench") for each in groups[name] if isinstance(each, str)
    ]
    names = {re.split(r"[>=<\[]", each)[0].lower() for each in wanted}
    assert names <= pinned
    assert "torch==2.13.0" in (root / "constraints.txt").read_text()


def test_every_import_is_declared():
    """Also those inside functions, which no import of the package would miss."""
    project = tomllib.loads((ROOT.parent.parent / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    declared = {
        re.split(r"[^\w.-]", line)[0].lower() for line in [*project["dependencies"], *extras]
    }
    imported = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.partition(".")[0])
    distributions = packages_distributions()
    for module in imported - sys.stdlib_module_names - {"surplus"}:
        known = {name.lower() for name in distributions.get(module, [module])}
        assert known & declared, f"{module} is imported, but pyproject.toml does not declare it"


def test_the_readme_has_a_row_for_every_criterion():
    page = (ROOT.parent.parent / "README.md").read_text()
    table = re.search(r"^\| criterion \|.*\n\|[-| ]+\n((?:\|.*\n)+)", page, re.MULTILINE).group(1)
    rows = [row.strip("|\n").split("|") for row in table.splitlines()]
    named = [name for names, _ in rows for name in re.findall(r"`([^`]+)`", names)]
    assert sorted(named) == sorted(own(Score))
    assert all(meaning.strip() for _, meaning in rows)


def test_make_help_explains_every_target():
    text = (ROOT.parent.parent / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE).group(1).split()
    for target in phony:
        assert re.search(rf"^{target}:.*## \S.*\.$", text, re.MULTILINE), target


def test_the_criterion_of_the_contributing_page_works(tmp_path, mlp, example):
    """The page promises that one file is enough: take the code off it and use it."""
    import importlib.util

    from planted import batches
    from surplus.scores import score
    from surplus.units import find_units

    page = (ROOT.parent.parent / "CONTRIBUTING.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL).group(1)
    (tmp_path / "spread.py").write_text(code)
    spec = importlib.util.spec_from_file_location("spread", tmp_path / "spread.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        found = score(
            mlp,
            find_units(mlp, example),
            members(Score)["activation-spread"](),
            batches(9, (6,), 3),
        )
        assert (found.values["0"] >= 0).all() and found.values["0"].shape == (8,)
    finally:
        del Score._members["activation-spread"]
