"""The bibliography: one BibTeX file, and `cite`, which returns the entries behind what was used."""

import dataclasses
import functools
import re
from importlib.resources import files
from typing import Any

from surplus.base.errors import InvalidArgument, unknown_name
from surplus.base.family import Family


@functools.cache
def bibliography() -> dict[str, str]:
    """Return every entry of the bibliography as BibTeX text, by key."""
    text = files("surplus.base").joinpath("references.bib").read_text(encoding="utf-8")
    entries = re.findall(r"^@\w+\{([^,]+),\n.*?^\}", text, flags=re.DOTALL | re.MULTILINE)
    bodies = re.findall(r"^@\w+\{[^,]+,\n.*?^\}", text, flags=re.DOTALL | re.MULTILINE)
    return dict(zip(entries, bodies, strict=True))


def cite(thing: Any) -> str:
    """Return the BibTeX entries of the papers behind a thing.

    Args:
        thing: A member of a family or its class (a score, net, task ...), a spec that nests such members, a key of
            the bibliography, or a list of these. For a run: `cite(spec_of(run))`.

    Raises:
        InvalidArgument: something else.
        UnknownName: a key that the bibliography does not hold.

    Example:
        >>> print(cite("lecun1998gradient").splitlines()[0])
        @article{lecun1998gradient,
    """
    things = thing if isinstance(thing, list | tuple) else [thing]
    for each in things:
        is_member = isinstance(each, type) and issubclass(each, Family)
        if not (is_member or isinstance(each, str) or dataclasses.is_dataclass(each)):
            raise InvalidArgument(
                f"`cite` takes a score, net, task, method, spec or key; this is a {type(each).__name__}."
                " For a run, cite its spec: `cite(spec_of(run))`."
            )
    found = [key for each in things for key in ([each] if isinstance(each, str) else _keys(each))]
    keys = list(dict.fromkeys(found))
    known = bibliography()
    for key in keys:
        if key not in known:
            raise unknown_name("reference", key, known)
    return "\n\n".join(known[key] for key in keys)


def _keys(thing: Any) -> list[str]:
    if isinstance(thing, list | tuple):
        return [key for item in thing for key in _keys(item)]
    keys: list[str] = []
    if isinstance(thing, Family) or (isinstance(thing, type) and issubclass(thing, Family)):
        keys += thing.references
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        for field in dataclasses.fields(thing):
            keys += _keys(getattr(thing, field.name))
    return keys
