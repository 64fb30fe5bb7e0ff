"""Derived results: what was computed from a run's snapshots later, in folders beside the sealed run."""

import errno
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from surplus.base import CorruptFile, InvalidArgument, StorageFailure, Table, fingerprint
from surplus.store.document import read_document, write_document
from surplus.store.files import make_folder, sha256, storage_failure, write_whole

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class Derived(NamedTuple):
    """One computation on a run: what was computed, from which snapshots, and its results."""

    path: Path
    kind: str
    settings: dict[str, Any]
    snapshots: dict[str, str]
    """The snapshots that were read: file name -> hash."""
    values: dict[str, Any]
    tables: dict[str, Table]


def computation_address(
    kind: str, settings: Mapping[str, Any], snapshots: Mapping[str, str]
) -> str:
    """Return the folder name of a computation: the fingerprint of what goes into it."""
    form = {"kind": kind, "settings": settings, "snapshots": snapshots}
    return fingerprint(None, computation=json.dumps(form, sort_keys=True))


def write_derived(
    folder: Path,
    kind: str,
    settings: Mapping[str, Any],
    snapshots: Mapping[str, str],
    values: Mapping[str, Any],
    tables: Mapping[str, Table],
) -> Path:
    """Write a computation's results, whole or not at all.

    Sound results that another process has written meanwhile are left as they are, since somebody may be reading them;
    damaged ones are replaced.

    Raises:
        StorageFailure: the disk is full or the folder cannot be written.
    """
    for name in tables:
        if not NAME.fullmatch(name):
            raise InvalidArgument(
                f"`{name}` cannot name a table: use small letters, digits and hyphens."
            )
    final = folder / computation_address(kind, settings, snapshots)
    aside = folder / f".{final.name}.{os.getpid()}.part"
    shutil.rmtree(aside, ignore_errors=True)
    make_folder(aside)
    try:
        for name, table in tables.items():
            write_whole(aside / f"{name}.csv", table.to_csv().encode())
        contents = {
            "kind": kind,
            "settings": dict(settings),
            "snapshots": dict(snapshots),
            "values": dict(values),
            "tables": {name: sha256(aside / f"{name}.csv") for name in tables},
        }
        write_document(aside / "computation.json", contents)
        _put_in_place(aside, final)
    except StorageFailure:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    except OSError as failed:
        shutil.rmtree(aside, ignore_errors=True)
        raise storage_failure(final, failed) from failed
    return final


def _put_in_place(aside: Path, final: Path) -> None:
    for patience in (True, False):
        if _is_sound(final):
            shutil.rmtree(aside)
            return
        shutil.rmtree(final, ignore_errors=True)
        try:
            aside.rename(final)
            return
        except OSError as failed:  # another process was quicker
            if not (patience and failed.errno in (errno.ENOTEMPTY, errno.EEXIST)):
                raise


def _is_sound(path: Path) -> bool:
    try:
        read_derived(path)
    except CorruptFile:
        return False
    return True


def read_derived(path: Path) -> Derived:
    """Read one computation's folder.

    Raises:
        CorruptFile: a file in it is missing, truncated or edited.
    """
    contents = read_document(path / "computation.json")
    tables = {}
    for name, expected in contents["tables"].items():
        file = path / f"{name}.csv"
        if not NAME.fullmatch(name) or not file.is_file() or sha256(file) != expected:
            raise CorruptFile(f"{file} is missing, truncated or edited.")
        tables[name] = Table.from_csv(file.read_text(encoding="utf-8"))
    return Derived(
        path,
        contents["kind"],
        contents["settings"],
        contents["snapshots"],
        contents["values"],
        tables,
    )
