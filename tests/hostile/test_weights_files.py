"""Weights files made to break or take over the reader."""

import io
import json
import os
import pickle
import struct
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from dcae_export.errors import InputError, RefusedError, WeightsError
from dcae_export.models.key_map import Layout, key_map
from dcae_export.models.presets import PRESETS
from dcae_export.models.tensor_files import MAX_JSON_BYTES, read_json_object, read_tensors
from dcae_export.models.weights import load_checkpoint

F32 = "dc-ae-f32c32-in-1.0"


class Canary:
    """Creates a file when it is unpickled by an unrestricted reader."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def canary(tmp_path):
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "the pickle was run"


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_is_refused_without_running_it(tmp_path, canary, suffix, zipped):
    file = tmp_path / f"model{suffix}"
    content = {"state_dict": {"encoder.weight": torch.zeros(2)}, "extra": Canary(canary)}
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(RefusedError, match="nothing in it was run"):
        load_checkpoint(file)


@pytest.mark.parametrize("protocol", range(6))
def test_a_bare_pickle_is_never_run(tmp_path, canary, protocol):
    file = tmp_path / "model.pt"
    file.write_bytes(pickle.dumps(Canary(canary), protocol=protocol))
    with pytest.raises((RefusedError, WeightsError)):
        load_checkpoint(file)


def test_the_canary_would_be_created_by_an_unrestricted_reader(tmp_path):
    pickle.loads(pickle.dumps(Canary(tmp_path / "sung")))
    assert (tmp_path / "sung").exists()


def test_a_malicious_pickle_named_safetensors_is_not_unpickled(tmp_path, canary):
    file = tmp_path / "model.safetensors"
    torch.save({"weight": Canary(canary)}, file)
    with pytest.raises(WeightsError, match="no safetensors file"):
        load_checkpoint(file)


def test_a_module_in_place_of_tensors_is_refused(tmp_path):
    file = tmp_path / "model.pt"
    torch.save(torch.nn.Conv2d(1, 1, 1), file)
    with pytest.raises(RefusedError):
        load_checkpoint(file)


@pytest.mark.parametrize(
    "content",
    [[1, 2], {"state_dict": 3}, {"a": 1}, {3: torch.zeros(1)}, {"state_dict": {"a": [1]}}],
)
def test_a_pickle_of_plain_values_is_no_checkpoint(tmp_path, content):
    file = tmp_path / "model.pt"
    torch.save(content, file)
    with pytest.raises(WeightsError, match=r"model\.pt"):
        load_checkpoint(file)


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_a_sparse_tensor_is_refused_before_it_can_grow(tmp_path):
    huge = torch.sparse_coo_tensor(torch.zeros(2, 1, dtype=torch.int64), [1.0], (2**20, 2**20))
    torch.save({"encoder.weight": huge}, tmp_path / "model.pt")
    with pytest.raises(WeightsError, match="no plain tensor"):
        load_checkpoint(tmp_path / "model.pt")


def test_a_tensor_expanded_without_end_is_refused_by_its_shape(tmp_path):
    names = [name for e in key_map(PRESETS[F32].config, Layout.OFFICIAL) for name in e.names]
    torch.save(dict.fromkeys(names, torch.zeros(1).expand(2**40)), tmp_path / "m.pt")
    with pytest.raises(WeightsError, match=r"has shape \[1099511627776\]"):
        load_checkpoint(tmp_path / "m.pt", variant=F32)


def pickled() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(300.0)}, buffer)
    return buffer.getvalue()


def pickled_before_zip() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(300.0)}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", [pickled, pickled_before_zip])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_pytorch_file_has_a_message_of_ours(tmp_path, kind, share):
    file = tmp_path / "model.pt"
    whole = kind()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises((WeightsError, RefusedError)) as raised:
        read_tensors(file)
    assert str(raised.value).startswith(f"{file}: ")
    assert "\n" not in str(raised.value)


def test_a_zip_that_is_no_checkpoint_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(WeightsError, match="no PyTorch checkpoint"):
        load_checkpoint(tmp_path / "model.pt")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".safetensors.index.json"])
def test_an_empty_file_has_a_message_of_ours(tmp_path, suffix):
    file = tmp_path / f"model{suffix}"
    file.touch()
    with pytest.raises(WeightsError, match="the file is empty"):
        load_checkpoint(file)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize(
    "content", [b"x", b"garbage " * 100, b"\xff" * 64, b"\x80\x02", b"PK\x03\x04"]
)
def test_garbage_is_refused(tmp_path, suffix, content):
    file = tmp_path / f"model{suffix}"
    file.write_bytes(content)
    with pytest.raises((WeightsError, RefusedError)):
        load_checkpoint(file)


def header(content, *, length=None, data=b"") -> bytes:
    encoded = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(encoded) if length is None else length) + encoded + data


TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        header({}, length=2**63),
        header({}, length=2**64 - 1),
        header({}, length=100_000_001),
        header({"a": TENSOR}),
        header({"a": TENSOR | {"data_offsets": [0, 2**62]}}, data=bytes(8)),
        header({"a": TENSOR | {"data_offsets": [8, 0]}}, data=bytes(8)),
        header({"a": TENSOR | {"shape": [2**62, 4]}}, data=bytes(8)),
        header({"a": TENSOR | {"shape": [-2]}}, data=bytes(8)),
        header({"a": TENSOR | {"dtype": "F99"}}, data=bytes(8)),
        header({"a": TENSOR, "b": TENSOR}, data=bytes(8)),
        header({"a": TENSOR}, data=bytes(16)),
        header(b"[" * 100_000),
        header(b"{" * 100_000),
        header(b'{"a":'),
        header(b"\xff\xfe"),
    ],
    ids=[
        "length 2^63",
        "length 2^64",
        "length over the limit",
        "no data",
        "data past the end",
        "data backwards",
        "shape overflow",
        "negative shape",
        "unknown dtype",
        "overlap",
        "data left over",
        "deep list",
        "deep object",
        "cut JSON",
        "no UTF-8",
    ],
)
def test_a_hostile_safetensors_header_is_refused(tmp_path, content):
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.safetensors: truncated, or no safetensors"):
        load_checkpoint(file)


@pytest.mark.parametrize("missing", [1, 8, 4096])
def test_a_truncated_safetensors_file_is_refused(tmp_path, missing):
    file = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(4096)}, file)
    os.truncate(file, file.stat().st_size - missing)
    with pytest.raises(WeightsError, match="truncated"):
        load_checkpoint(file)


@pytest.mark.parametrize(
    "shard", ["../model.safetensors", "/etc/passwd", "a/b.safetensors", "x.pt"]
)
def test_an_index_cannot_point_elsewhere(tmp_path, shard):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(RefusedError, match="shard"):
        load_checkpoint(index)


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"weight_map": 3}', "[" * 100_000, "9" * 5000]
)
def test_a_malformed_index_is_an_input_error(tmp_path, content):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(content)
    with pytest.raises(InputError, match=r"index\.json"):
        load_checkpoint(index)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json"])
def test_json_above_its_bound_is_not_parsed(tmp_path, name):
    path = tmp_path / name
    text = '{"weight_map": {}}'
    path.write_text(text.ljust(MAX_JSON_BYTES))
    assert read_json_object(path) == {"weight_map": {}}
    path.write_text(text.ljust(MAX_JSON_BYTES + 1))
    with pytest.raises(WeightsError, match=f"more than {MAX_JSON_BYTES} bytes"):
        read_json_object(path)


@pytest.mark.parametrize("name", ["model.bin", "model.onnx", "model"])
def test_other_kinds_of_files_are_not_opened(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(WeightsError, match="weights are files that end in"):
        load_checkpoint(tmp_path / name)
