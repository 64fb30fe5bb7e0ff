"""Readers of the official formats, on files written here; and what is said when files are missing or wrong."""

import gzip
import hashlib
import io
import struct
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from surplus.base import CorruptFile, DataMissing
from surplus.tasks import CIFAR10, CIFAR100, MNIST, DataFile, Digits, FashionMNIST, Split, read_file


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def idx_images(count, side=28):
    pixels = bytes((7 * i) % 256 for i in range(count * side * side))
    return struct.pack(">4I", 0x803, count, side, side) + pixels


def idx_labels(count):
    return struct.pack(">2I", 0x801, count) + bytes(i % 10 for i in range(count))


@pytest.fixture
def idx_set(tmp_path, monkeypatch):
    """Lay out a small data set in MNIST's format, and let MNIST expect its hashes."""
    contents = [idx_images(20), idx_labels(20), idx_images(10), idx_labels(10)]
    files = []
    for file, data in zip(MNIST.files, contents, strict=True):
        path = tmp_path / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data))
        files.append(file._replace(contents=sha256(data)))
    monkeypatch.setattr(MNIST, "files", tuple(files))
    return tmp_path


def test_idx_is_read(idx_set):
    parts = MNIST(split=Split(num_validation=5)).load(idx_set)
    assert [len(part) for part in parts] == [15, 5, 10]
    assert parts.test.targets.tolist() == list(range(10))
    assert parts.test.images[0, 0, 0, :4].tolist() == [0, 7, 14, 21]


def test_unpacked_files_are_read_as_well(idx_set):
    for path in list((idx_set / "MNIST" / "raw").iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert len(MNIST(split=Split(num_validation=5)).load(idx_set).test) == 10


def test_the_data_folder_may_come_from_the_environment(idx_set, monkeypatch):
    monkeypatch.setenv("SURPLUS_DATA", str(idx_set))
    assert len(MNIST(split=Split(num_validation=5)).load().test) == 10


@pytest.mark.parametrize("task", [MNIST, FashionMNIST, CIFAR10, CIFAR100, Digits])
def test_missing_data_say_which_folder_and_which_flag(task, tmp_path, monkeypatch):
    with pytest.raises(DataMissing) as missing:
        task().load(tmp_path)
    assert str(missing.value) == (
        f"`{task.files[0].path}` is not in the data folder {tmp_path} (given as `--data`)."
        " Put the official file there, or pass `--download` to fetch it from its publisher."
    )
    monkeypatch.setenv("SURPLUS_DATA", str(tmp_path / "other"))
    with pytest.raises(DataMissing, match=r"other \(taken from \$SURPLUS_DATA\)"):
        task().load()
    monkeypatch.delenv("SURPLUS_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(DataMissing, match=r"cache/surplus/data \(the default; set `--data FOLDER`"):
        task().load()


def test_an_edited_file_is_corrupt_by_its_hash(idx_set):
    path = idx_set / MNIST.files[0].path
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[100] ^= 1
    path.write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(
        CorruptFile, match=r"is corrupt: the sha256 of its contents is .*, published is"
    ):
        MNIST().load(idx_set)


def test_a_truncated_file_is_corrupt(idx_set):
    path = idx_set / MNIST.files[0].path
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptFile, match="does not unpack as gzip"):
        MNIST().load(idx_set)


def test_a_file_of_another_kind_is_refused(idx_set, monkeypatch):
    files = list(MNIST.files)
    files[0], files[1] = files[1], files[0]
    monkeypatch.setattr(MNIST, "files", tuple(files))
    with pytest.raises(CorruptFile, match="not an IDX file with magic number 0x00000803"):
        MNIST().load(idx_set)


def records(count, labels):
    return b"".join(
        bytes([i % 10] * labels) + bytes([i % 251] * 1024 + [1] * 1024 + [2] * 1024)
        for i in range(count)
    )


@pytest.mark.parametrize(("task", "labels"), [(CIFAR10, 1), (CIFAR100, 2)])
def test_cifar_records_are_read(task, labels, tmp_path, monkeypatch):
    files = []
    for place, file in enumerate(task.files):
        data = records(10 + place, labels)
        path = tmp_path / file.path
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        files.append(file._replace(contents=sha256(data)))
    monkeypatch.setattr(task, "files", tuple(files))
    parts = task(split=Split(num_validation=4)).load(tmp_path)
    assert parts.test.images.shape[1:] == (3, 32, 32)
    assert parts.test.images[3, :, 5, 5].tolist() == [3, 1, 2]
    assert parts.test.targets[:4].tolist() == [0, 1, 2, 3]
    (tmp_path / task.files[0].path).write_bytes(b"1234")
    monkeypatch.setattr(
        task, "files", (files[0]._replace(contents=sha256(b"1234")), *task.files[1:])
    )
    with pytest.raises(CorruptFile, match="holds 4 bytes, not a whole number of"):
        task().load(tmp_path)


@pytest.fixture
def publisher(tmp_path):
    """Serve a folder on loopback."""
    folder = tmp_path / "published"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *args: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_file_is_fetched_only_when_asked(publisher, tmp_path):
    folder, url = publisher
    packed = gzip.compress(b"contents")
    (folder / "x.gz").write_bytes(packed)
    file = DataFile("set/x.gz", sha256(b"contents"), f"{url}/x.gz", sha256(packed))
    data = tmp_path / "data"
    with pytest.raises(DataMissing):
        read_file(file, data, download=False)
    assert not data.exists()
    assert read_file(file, data, download=True) == b"contents"
    (folder / "x.gz").unlink()
    assert read_file(file, data, download=False) == b"contents"


def test_a_file_is_taken_out_of_its_archive(publisher, tmp_path):
    folder, url = publisher
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("set/train.bin")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"bytes"))
    (folder / "set.tar.gz").write_bytes(packed.getvalue())
    file = DataFile(
        "set/train.bin",
        sha256(b"bytes"),
        f"{url}/set.tar.gz",
        sha256(packed.getvalue()),
        "set/train.bin",
    )
    assert read_file(file, tmp_path / "data", download=True) == b"bytes"


def test_an_archive_without_the_file_is_named(publisher, tmp_path):
    folder, url = publisher
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("set/other.bin"), io.BytesIO())
    (folder / "set.tar.gz").write_bytes(packed.getvalue())
    hashes = sha256(b"bytes"), f"{url}/set.tar.gz", sha256(packed.getvalue())
    file = DataFile("set/train.bin", *hashes, "set/train.bin")
    with pytest.raises(CorruptFile, match=r"set.tar.gz does not hold a file `set/train.bin`"):
        read_file(file, tmp_path / "data", download=True)


def test_what_a_publisher_sends_is_checked(publisher, tmp_path):
    folder, url = publisher
    (folder / "x.gz").write_bytes(b"something else")
    file = DataFile("set/x.gz", sha256(b"contents"), f"{url}/x.gz", sha256(b"expected"))
    with pytest.raises(CorruptFile, match="is not the published file"):
        read_file(file, tmp_path / "data", download=True)
    assert not (tmp_path / "data" / "set" / "x.gz").exists()


def test_a_publisher_out_of_reach_is_named(publisher, tmp_path):
    _, url = publisher
    file = DataFile("set/x.gz", sha256(b"contents"), f"{url}/absent.gz", sha256(b""))
    with pytest.raises(DataMissing, match=r"Could not fetch .*absent.gz: .* by hand"):
        read_file(file, tmp_path / "data", download=True)


@pytest.mark.parametrize(
    ("task", "train", "test"),
    [
        (MNIST, 60000, 10000),
        (FashionMNIST, 60000, 10000),
        (CIFAR10, 50000, 10000),
        (Digits, 1437, 360),
    ],
)
def test_the_real_data_sets(task, train, test, real_data):
    parts = task().load(real_data)
    assert len(parts.train) + len(parts.validation) == train
    assert len(parts.test) == test
    values = torch.cat([inputs for inputs, _ in parts.train])
    assert values.mean((0, 2, 3)).tolist() == pytest.approx([0] * len(task.mean), abs=0.01)
    assert values.std((0, 2, 3)).tolist() == pytest.approx([1] * len(task.mean), abs=0.01)


def test_the_embedded_subset_is_the_first_of_each_class(real_data):
    from surplus.tasks import MNIST10k

    full, few = MNIST().read(real_data, False), MNIST10k().read(None, False)
    for images, labels, subset, sublabels, count in (
        (full.train, full.train_labels, few.train, few.train_labels, 1000),
        (full.test, full.test_labels, few.test, few.test_labels, 200),
    ):
        chosen = (
            torch.cat([(labels == digit).nonzero()[:count, 0] for digit in range(10)]).sort().values
        )
        assert torch.equal(images[chosen], subset)
        assert torch.equal(labels[chosen], sublabels)
