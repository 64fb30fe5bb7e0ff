import pytest
import safetensors.torch
import torch

from storing import raw
from surplus.base import CorruptFile, RawTensor
from surplus.edits import from_raw, to_raw
from surplus.store import read_bundle, write_bundle


def test_any_safetensors_reader_opens_a_bundle(tmp_path):
    tensors = {"b": torch.randn(3, 2), "a": torch.arange(5), "c": torch.tensor(True)}
    write_bundle(
        tmp_path / "x.safetensors", {k: to_raw(v) for k, v in tensors.items()}, {"step": 3}
    )
    found = safetensors.torch.load_file(tmp_path / "x.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8]
)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (2, 3)])
def test_tensors_come_back_bit_for_bit(tmp_path, dtype, shape):
    tensor = torch.ones(shape).mul(3).to(dtype)
    write_bundle(tmp_path / "x.safetensors", {"t": to_raw(tensor)}, {"about": {"nested": [1, "ü"]}})
    bundle = read_bundle(tmp_path / "x.safetensors")
    assert torch.equal(from_raw(bundle.tensors["t"]), tensor)
    assert bundle.metadata == {"about": {"nested": [1, "ü"]}}


def test_a_transposed_tensor_is_written_in_its_own_order():
    tensor = torch.arange(6).view(2, 3).T
    assert torch.equal(from_raw(to_raw(tensor)), tensor)


def test_a_later_format_is_refused_by_number(tmp_path, monkeypatch):
    monkeypatch.setattr("surplus.store.bundle.FORMAT", 2)
    write_bundle(tmp_path / "x.safetensors", {"t": raw([1.0])}, {})
    monkeypatch.undo()
    with pytest.raises(CorruptFile, match="has format 2; this version of Surplus reads 1"):
        read_bundle(tmp_path / "x.safetensors")


def test_files_of_others_are_refused_by_name(tmp_path):
    safetensors.torch.save_file({"t": torch.ones(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CorruptFile, match="foreign.safetensors is truncated, or not a bundle"):
        read_bundle(tmp_path / "foreign.safetensors")
    with pytest.raises(CorruptFile, match="cannot be read: No such file"):
        read_bundle(tmp_path / "absent.safetensors")


def test_an_empty_bundle(tmp_path):
    write_bundle(tmp_path / "x.safetensors", {}, {})
    empty = read_bundle(tmp_path / "x.safetensors")
    assert (empty.tensors, empty.metadata) == ({}, {})
    assert safetensors.torch.load_file(tmp_path / "x.safetensors") == {}


def test_a_tensor_without_entries_is_a_tensor_still(tmp_path):
    none = RawTensor("F32", (0, 3), b"")
    write_bundle(tmp_path / "x.safetensors", {"none": none, "one": raw([1.0])}, {})
    assert read_bundle(tmp_path / "x.safetensors").tensors == {"none": none, "one": raw([1.0])}
