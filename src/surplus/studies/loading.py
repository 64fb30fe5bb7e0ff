"""Find a study by its name, or in a file or module of one's own."""

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from surplus.base import InvalidArgument, UnknownName, lookup
from surplus.studies import questions as _questions  # noqa: F401 - enters the studies into their register
from surplus.studies.study import Study


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
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as missing:
        raise InvalidArgument(f"`{module}` cannot be imported: {missing}.") from missing
    if not (isinstance(found, type) and issubclass(found, Study) and hasattr(found, "kind")):
        raise UnknownName(f"`{module}` has no registered study called `{name}`.")
    return found


def import_file(path: Path) -> ModuleType:
    """Import a Python file under a name of its own; a second time returns the same module.

    Raises:
        InvalidArgument: there is no such file, or it raises an error.
    """
    path = path.resolve()
    name = f"surplus_own_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
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
    except Exception as broken:
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
