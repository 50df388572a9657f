"""Files of arrays: what is written comes back, and what others wrote is refused or read, never run."""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dcae_export.errors import InputError
from dcae_export.evaluation import array_file
from dcae_export.evaluation.array_file import read_arrays, write_arrays

ARRAYS = {
    "matrix": np.arange(6.0).reshape(2, 3),
    "narrow": np.ones(3, np.float32),
    "number": np.array(7),
    "bytes": np.arange(5, dtype=np.uint8),
    "text": np.array("grüße"),
}


def npy(array: np.ndarray, **options: bool) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def pack(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def test_arrays_come_back_as_they_were(tmp_path):
    write_arrays(tmp_path / "a.npz", ARRAYS, force=False)
    found = read_arrays(tmp_path / "a.npz")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_files_of_numpy_are_read_deflated_or_not_and_in_either_order(tmp_path, save):
    columns_first = np.asfortranarray(ARRAYS["matrix"])
    save(tmp_path / "a.npz", matrix=columns_first, big=np.arange(3.0).astype(">f8"))
    found = read_arrays(tmp_path / "a.npz")
    assert np.array_equal(found["matrix"], columns_first)
    assert found["big"].astype(float).tolist() == [0, 1, 2]


def test_only_the_arrays_that_were_asked_for_are_looked_at(tmp_path):
    path = pack(tmp_path / "a.npz", mu=npy(np.ones(2)), other=b"no array at all")
    assert list(read_arrays(path, names=("mu", "sigma"))) == ["mu"]


class Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_in_an_array_file_is_refused_without_running_it(tmp_path):
    trace = tmp_path / "trace"
    objects = np.array([Touch(trace)], dtype=object)
    header_says_numbers = npy(np.zeros(1))[:128] + pickle.dumps(Touch(trace))
    for data in (npy(objects, allow_pickle=True), header_says_numbers, pickle.dumps(Touch(trace))):
        with pytest.raises(InputError, match="cannot be read as"):
            read_arrays(pack(tmp_path / "a.npz", mu=data))
    assert not trace.exists()


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (__import__('os').getpid(),), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (0,), }",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<M8', 'fortran_order': False, 'shape': (1,), }",
    ],
)
def test_headers_that_lie_are_refused_before_memory_is_taken(tmp_path, header):
    text = header.ljust(117).encode() + b"\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(8)
    with pytest.raises(InputError):
        read_arrays(pack(tmp_path / "a.npz", mu=data))


def test_a_member_that_swells_is_refused_by_its_size(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "bomb.npz", mu=np.zeros(10_000))
    monkeypatch.setattr(array_file, "_MAX_BYTES", 10_000)
    with pytest.raises(InputError, match="80128 bytes, at most 10000 are read"):
        read_arrays(tmp_path / "bomb.npz")


def test_a_file_with_too_many_arrays_is_refused(tmp_path):
    path = pack(tmp_path / "a.npz", **{f"a{n}": npy(np.ones(1)) for n in range(65)})
    with pytest.raises(InputError, match="65 arrays, at most 64"):
        read_arrays(path)
    assert list(read_arrays(path, names=("a3",))) == ["a3"]


def test_any_flipped_byte_of_the_values_is_found(tmp_path):
    write_arrays(tmp_path / "a.npz", {"mu": np.arange(50.0)}, force=False)
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[300] ^= 1
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(InputError):
        read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_a_truncated_file_is_refused(tmp_path, share):
    write_arrays(tmp_path / "a.npz", ARRAYS, force=False)
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=r"a\.npz: cannot be read as \.npz"):
        read_arrays(tmp_path / "a.npz")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_arrays(tmp_path / "none.npz")
