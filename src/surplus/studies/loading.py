"""Find a study by its name, or in a file or module of one's own."""

import dataclasses
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from surplus.base import InvalidArgument, UnknownName, lookup
from surplus.studies import questions as _questions  # noqa: F401 - enters the studies into their register
from surplus.studies.grid import Grid
from surplus.studies.study import Study

OWN = "surplus_own_"  # begins the name of a module that was imported by its file
Module = tuple[str, str | None]
"""The name of a module and its file."""


def find_study(reference: str) -> type[Study]:
    """Return the study that a reference means.

    Args:
        reference: The name of a study; or a Python file that defines one ("mine.py"); or "module:Class".

    Raises:
        UnknownName: nothing goes by that name.
        InvalidArgument: the file or module cannot be imported, or does not define exactly one study.
    """
    if reference.endswith(".py"):
        return _only_study(import_file(Path(reference)), reference)
    module, colon, name = reference.partition(":")
    if not colon:
        return lookup(Study, reference)
    found = getattr(_imported(module), name, None)
    if not (isinstance(found, type) and issubclass(found, Study) and hasattr(found, "kind")):
        raise UnknownName(f"`{module}` has no registered study called `{name}`.")
    return found


def needed_modules(grid: Grid) -> list[Module]:
    """Return the modules outside the package which define what a study uses; another process imports them first."""
    parts = [grid.study, *(part for arm in grid.arms for part in (arm.spec, *arm.methods))]
    names = {type(each).__module__: None for part in parts for each in _nested(part)}
    found: list[Module] = []
    for name in names:
        if name.partition(".")[0] != "surplus":
            file = getattr(sys.modules.get(name), "__file__", None)
            found.append((name, None if file is None else str(Path(file).resolve())))
    return found


def import_needed(module: Module) -> None:
    """Import a module by its name, or where it goes by another name here, by its file.

    Raises:
        InvalidArgument: it cannot be imported.
    """
    name, file = module
    if file is not None and (name == "__main__" or name.startswith(OWN)):
        import_file(Path(file))
        return
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if file is None:
            raise InvalidArgument(f"`{name}` cannot be imported: {missing}.") from missing
        import_file(Path(file))


def _nested(part: Any) -> Iterator[Any]:
    if isinstance(part, tuple):
        for item in part:
            yield from _nested(item)
    elif dataclasses.is_dataclass(part):
        yield part
        for field in dataclasses.fields(part):
            yield from _nested(getattr(part, field.name))


def _imported(module: str) -> ModuleType:
    """Import a module that is installed, or lies in the folder where the command was given."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    except Exception as broken:
        raise InvalidArgument(
            f"`{module}` cannot be imported: {type(broken).__name__}: {broken}."
        ) from broken
    finally:
        sys.path.remove(here)


def import_file(path: Path) -> ModuleType:
    """Import a Python file under a name of its own; a second time returns the same module.

    Raises:
        InvalidArgument: there is no such file, or it raises an error.
    """
    path = path.resolve()
    name = f"{OWN}{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise InvalidArgument(f"There is no file {path}.")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as broken:
        del sys.modules[name]
        raise InvalidArgument(
            f"{path} cannot be imported: {type(broken).__name__}: {broken}"
        ) from broken
    return module


def _only_study(module: ModuleType, reference: str) -> type[Study]:
    found = [
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Study) and each.__module__ == module.__name__
    ]
    named = [each for each in found if hasattr(each, "kind")]
    if len(named) != 1:
        missing = " (`@register` is missing)" if found and not named else ""
        raise InvalidArgument(
            f"{reference} defines {len(named)} registered studies{missing}; it must define exactly one."
        )
    return named[0]
