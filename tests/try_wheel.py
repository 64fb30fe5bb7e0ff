"""Build wheel and sdist, unpack the wheel into an empty folder, and use it from there."""

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
USE = """
import sys, surplus
assert surplus.__file__.startswith(sys.argv[1]), surplus.__file__
from surplus.cli import main
assert main(["train", "--net", "lenet-300-100:width=0.1", "--training.num-steps", "5", "--quiet"]) == 0
assert main(["report", "--out", "report.html"]) == 0
"""


def main() -> None:
    """Raise where something is missing."""
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "dist"
        for target in ("wheel", "sdist"):
            command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(built)]
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        (wheel,) = built.glob("*.whl")
        (sdist,) = built.glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        for needed in (
            "src/surplus/viewer/web/main.js",
            "tests/conftest.py",
            "Makefile",
            "LICENSE",
        ):
            assert needed in names, f"{needed} is not in the sdist"
        target = Path(folder) / "site"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
        for needed in (
            "base/references.bib",
            "viewer/web/page.html",
            "viewer/vendor/LICENSES.md",
            "py.typed",
        ):
            assert (target / "surplus" / needed).is_file(), f"{needed} is not in the wheel"
        work = Path(folder) / "work"
        work.mkdir()
        environment = {**os.environ, "PYTHONPATH": str(target)}
        subprocess.run(
            [sys.executable, "-c", USE, str(target)], cwd=work, env=environment, check=True
        )
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, works on its own")


if __name__ == "__main__":
    main()
