"""Published data files: where they lie, what they must contain, where they can be fetched."""

import gzip
import hashlib
import os
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

from surplus.base import CorruptFile, DataMissing, StorageFailure


class DataFile(NamedTuple):
    """One file of a published data set."""

    path: str
    """Where it lies below the data folder. A `.gz` file may also lie there unpacked, without that ending."""
    contents: str
    """The hash of the unpacked contents, as "sha256:..." or "md5:..."."""
    url: str
    """Where it, or the archive that holds it, is published."""
    download: str
    """The hash of what `url` gives."""
    member: str | None = None
    """Its name inside the archive, when `url` is one."""


def data_folder(folder: Path | None) -> Path:
    """Return the folder to read from: the one given, else `$SURPLUS_DATA`, else the user's cache."""
    if folder is not None:
        return Path(folder).expanduser()
    if os.environ.get("SURPLUS_DATA"):
        return Path(os.environ["SURPLUS_DATA"]).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "surplus" / "data"


def read_file(file: DataFile, folder: Path | None, *, download: bool) -> bytes:
    """Return the unpacked contents of a published file, after checking their hash.

    Raises:
        DataMissing: the file is not there, and `download` is False or the download failed.
        CorruptFile: the file is there and its contents are not the published ones.
    """
    root = data_folder(folder)
    path = root / file.path
    unpacked = path.with_suffix("") if path.suffix == ".gz" else path
    if not path.exists() and not unpacked.exists():
        if not download:
            raise _missing(file, root, folder)
        _fetch(file, path)
    found = path if path.exists() else unpacked
    contents = _unpack(found)
    algorithm, _, expected = file.contents.partition(":")
    actual = hashlib.new(algorithm, contents, usedforsecurity=False).hexdigest()
    if actual != expected:
        raise CorruptFile(
            f"{found} is corrupt: the {algorithm} of its contents is {actual}, published is {expected}."
            " Delete the file and put the official one in its place, or pass `--download` to fetch it."
        )
    return contents


def _unpack(path: Path) -> bytes:
    packed = path.read_bytes()
    if path.suffix != ".gz":
        return packed
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as broken:
        raise CorruptFile(
            f"{path} is corrupt: it does not unpack as gzip ({broken})."
            " Delete the file and put the official one in its place, or pass `--download` to fetch it."
        ) from broken


def _missing(file: DataFile, root: Path, folder: Path | None) -> DataMissing:
    if folder is not None:
        origin = "given as `--data`"
    elif os.environ.get("SURPLUS_DATA"):
        origin = "taken from $SURPLUS_DATA"
    else:
        origin = "the default; set `--data FOLDER` or $SURPLUS_DATA to look elsewhere"
    return DataMissing(
        f"`{file.path}` is not in the data folder {root} ({origin})."
        " Put the official file there, or pass `--download` to fetch it from its publisher."
    )


def _fetch(file: DataFile, path: Path) -> None:
    import pooch

    archive = file.member is not None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fetched = Path(
            pooch.retrieve(
                file.url,
                known_hash=file.download,
                path=path.parent,
                fname=file.url.rpartition("/")[2] if archive else path.name,
            )
        )
    except ValueError as mismatch:
        raise CorruptFile(
            f"What {file.url} sent is not the published file: {mismatch}"
        ) from mismatch
    except PermissionError as refused:
        raise StorageFailure(
            f"Cannot write to the data folder {path.parent}: {refused.strerror}."
            " Choose another with `--data FOLDER` or $SURPLUS_DATA."
        ) from refused
    except OSError as failed:
        raise DataMissing(
            f"Could not fetch {file.url}: {failed}. Put `{path.name}` into {path.parent} by hand."
        ) from failed
    if archive:
        _extract(fetched, str(file.member), path)


def _extract(archive: Path, member: str, path: Path) -> None:
    with tarfile.open(archive) as opened:
        found = next((each for each in opened if each.name == member), None)
        reader = None if found is None else opened.extractfile(found)
        if reader is None:
            raise CorruptFile(f"{archive} does not hold a file `{member}`.")
        aside = path.with_name(path.name + ".part")
        aside.write_bytes(reader.read())
        aside.replace(path)
