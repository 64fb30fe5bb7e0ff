"""Errors that say what was given, what was expected, and what to do."""

import difflib
from collections.abc import Iterable


class SurplusError(Exception):
    """The root of every error that a user can cause or must act upon."""


class InvalidArgument(SurplusError, ValueError):
    """A value that lies outside what a function or a spec accepts."""


class UnknownName(SurplusError, LookupError):
    """A name (of a net, score, task, layer, run ...) that nothing goes by."""


class DataMissing(SurplusError, FileNotFoundError):
    """A data set that is not where it was looked for."""


class CorruptFile(SurplusError, OSError):
    """A file whose contents are not what was written or published."""


class StorageFailure(SurplusError, OSError):
    """A folder or a disk that does not take what should be written."""


class RunExists(SurplusError):
    """A finished run that would have been overwritten."""


class RunBusy(SurplusError):
    """A run that another process is writing at this moment."""


def closest(given: str, known: Iterable[str]) -> str | None:
    """Return the known name that is spelt most like `given`, if any is close; names that begin with it come first.

    Example:
        >>> closest("magnitud", ["magnitude", "random"]), closest("lenet", ["lenet-300-100", "mobilenet"])
        ('magnitude', 'lenet-300-100')
    """
    given, names = given.lower(), sorted(known)
    begun = [name for name in names if len(given) > 2 and name.startswith(given)]
    matches = difflib.get_close_matches(given, begun or names, n=1, cutoff=0 if begun else 0.5)
    return matches[0] if matches else None


def unknown_name(kind: str, given: str, known: Iterable[str]) -> UnknownName:
    """Build the error for a name that nothing goes by, with a suggestion and the full list."""
    names = sorted(known)
    near = closest(given, names)
    hint = f" Did you mean `{near}`?" if near else ""
    listed = ", ".join(names) if names else "none"
    return UnknownName(f"There is no {kind} called `{given}`.{hint} Known: {listed}.")


def check_sparsity(sparsity: float) -> None:
    """Refuse a sparsity outside [0, 1), naming the usual slip of passing a percentage.

    Raises:
        InvalidArgument: `sparsity` is not a number in [0, 1).
    """
    if 0 <= sparsity < 1:
        return
    message = f"`sparsity` is {sparsity:g}; it must lie in [0, 1): it is the fraction removed."
    if 1 < sparsity <= 100:
        message += f" For {sparsity:g} percent pass {sparsity / 100:g}."
    elif sparsity == 1:
        message += " Removing everything leaves no network."
    raise InvalidArgument(message)
