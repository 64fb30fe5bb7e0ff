"""Build wheel and sdist, install the wheel into an empty environment, and use it from there.

The environment is a fresh one in which only the wheel is installed. What the wheel requires is not downloaded again: a
folder of links, which a `.pth` file puts on the path, shows the distributions that the wheel's metadata ask for, and
what those ask for, as they lie in the environment that runs this script. Nothing else of that environment can be seen,
so an import that is not declared fails here as it would fail for a user.
"""

import importlib.metadata
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
IN_SDIST = (
    "CITATION.cff",
    "LICENSE",
    "Makefile",
    "README.md",
    "constraints.txt",
    "src/surplus/viewer/web/main.js",
    "tests/conftest.py",
    "tests/golden/settings.json",
)
IN_WHEEL = ("base/references.bib", "py.typed", "viewer/vendor/LICENSES.md", "viewer/web/page.html")
WHERE = "import surplus, sys; print(surplus.__file__, surplus.__version__, 'torch' in sys.modules)"
QUICK = ("--training.num-steps", "5", "--quiet")
COMMANDS = (
    ("train", "--net", "lenet-300-100:width=0.1", *QUICK),
    ("prune", "last", "--layers", "fc1", "--sparsity", "0.5", "--out", "x.safetensors", "--quiet"),
    ("export", "x.safetensors", "--to", "x.pt2"),
    ("report", "last", "--out", "report.html"),
    ("runs",),
)


def main() -> None:
    """Raise where something is missing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        wheel, sdist = build(ROOT, folder / "dist", "wheel"), build(ROOT, folder / "dist", "sdist")
        again = build(unpacked(sdist, folder / "source"), folder / "again", "wheel")
        files, files_again = contents(wheel), contents(again)
        assert files == files_again, f"wheel and sdist differ: {unlike(files, files_again)}"
        for needed in IN_WHEEL:
            assert f"surplus/{needed}" in files, f"{needed} is not in the wheel"
        python = environment(folder / "env", wheel)
        use(python, folder / "work")
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, works in an empty environment")


def build(source: Path, target: Path, kind: str) -> Path:
    """Build a wheel or an sdist and return it."""
    call([sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", target], source)
    (built,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


def unpacked(sdist: Path, target: Path) -> Path:
    """Return the folder of an sdist's files."""
    with tarfile.open(sdist) as archive:
        archive.extractall(target, filter="data")
    (source,) = target.iterdir()
    for needed in IN_SDIST:
        assert (source / needed).is_file(), f"{needed} is not in the sdist"
    return source


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def unlike(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    """Return the names at which two sets of files differ."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def environment(folder: Path, wheel: Path) -> Path:
    """Return the interpreter of a fresh environment with the wheel and what it requires."""
    call([sys.executable, "-m", "venv", folder])
    python = folder / "bin" / "python"
    # Before the requirements come into sight, so that pip has nothing to compare with or to replace.
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    call([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel])
    call([*pip, "uninstall", "--quiet", "--yes", "setuptools"])  # Python 3.11 brings an old one
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(call([python, "-c", code]).strip())
    links = folder / "requirements"
    links.mkdir()
    (ours,) = importlib.metadata.distributions(name="surplus", path=[str(site)])
    for distribution in required(ours):
        show(distribution, links)
    (site / "requirements.pth").write_text(f"{links}\n")
    call([*pip, "check"])
    return python


def required(first: importlib.metadata.Distribution) -> list[importlib.metadata.Distribution]:
    """Return what a distribution requires, all the way down; raise where it is missing or has another version."""
    found: dict[str, importlib.metadata.Distribution] = {}
    todo = [(first, "")]
    asked = {(canonicalize_name(first.metadata["Name"]), "")}
    while todo:
        distribution, extra = todo.pop()
        for line in distribution.requires or ():
            wanted = Requirement(line)
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
                continue
            name = canonicalize_name(wanted.name)
            if name not in found:
                found[name] = importlib.metadata.distribution(wanted.name)
            have = found[name].version
            by = distribution.metadata["Name"]
            assert wanted.specifier.contains(have, prereleases=True), (
                f"{by} wants {line}, not {have}"
            )
            for each in ("", *wanted.extras):
                if (name, each) not in asked:
                    asked.add((name, each))
                    todo.append((found[name], each))
    return list(found.values())


def show(distribution: importlib.metadata.Distribution, links: Path) -> None:
    """Link the modules and the metadata of a distribution into a folder."""
    for name in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
        link = links / name
        if not link.exists():
            link.symlink_to(Path(str(distribution.locate_file(name))))


def use(python: Path, work: Path) -> None:
    """Import the package from the wheel and do a little of everything on the command line."""
    work.mkdir()
    path, version, torch = call([python, "-c", WHERE], work).split()
    assert Path(path).is_relative_to(python.parents[1]), f"surplus comes from {path}"
    assert torch == "False", "importing surplus imports torch"
    surplus = python.with_name("surplus")
    assert call([surplus, "--version"], work) == f"surplus {version}\n"
    assert "usage: surplus COMMAND" in call([surplus, "--help"], work)
    for words in COMMANDS:
        call([surplus, *words], work)
    for name in ("x.safetensors", "report.html"):
        assert (work / name).stat().st_size > 1000, f"{name} was not written"


def call(command: list[str | Path], folder: Path = ROOT) -> str:
    """Return what a command prints; nothing of this process's own paths or settings reaches it."""
    hidden = ("PYTHON", "PIP_", "SURPLUS_", "VIRTUAL_ENV")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(hidden)}
    done = subprocess.run(
        command, cwd=folder, env=kept, capture_output=True, text=True, check=False
    )
    words = " ".join(map(str, command))
    assert done.returncode == 0, f"`{words}` failed:\n{done.stdout}{done.stderr}"
    return done.stdout


if __name__ == "__main__":
    main()
