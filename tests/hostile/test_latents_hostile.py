"""Folders of latents made to lead out, to fill the memory, or to give other numbers than they say."""

import json
import os
import pickle
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from latent_folders import empty_contents, labels_of, latents_of, numbers_of, write_folder
from safetensors.torch import save_file
from torch import Tensor

from dcae_export.errors import InputError, RefusedError
from dcae_export.training.latents.contents import CONTENTS_NAME, MAX_BYTES, read_contents
from dcae_export.training.latents.folder import LatentFolder

OURS = (InputError, RefusedError)
needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six latents in two files."""
    return write_folder(tmp_path / "latents", 6)


def shard(folder: Path) -> Path:
    return folder / "latents-00001.safetensors"


def change(folder: Path, edit: Callable[[dict], object]) -> None:
    """Rewrite the contents."""
    path = folder / CONTENTS_NAME
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def refusal(folder: Path) -> str:
    """The one line that the folder is refused with."""
    with pytest.raises(OURS) as raised:
        LatentFolder.open(folder)
    message = str(raised.value)
    assert "\n" not in message
    assert message.isprintable()
    return message


# ------------------------------------------------------------------------------- latents.json


@pytest.mark.parametrize(
    "name",
    ["../latents-00001.safetensors", "/etc/passwd", "", "latents-00002.safetensors", "a\nb", "CON"],
)
def test_a_name_that_is_no_shards_is_refused(folder: Path, name: str):
    change(folder, lambda content: content["shards"][1].update(file=name))
    with pytest.raises(RefusedError, match=r"names .* for latents-00001\.safetensors"):
        LatentFolder.open(folder)
    assert refusal(folder)


def put(*path: str | int, value: object) -> Callable[[dict], object]:
    def edit(content: dict) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        put("format_version", value=0),
        put("format_version", value=True),
        put("format_version", value="1"),
        put("count", value=-1),
        put("count", value=6.0),
        put("count", value="6"),
        put("channels", value=0),
        put("height", value=2**31),
        put("seed", value=2**63),
        put("complete", value="yes"),
        put("classes", value=[]),
        put("classes", value=["a", 1]),
        put("classes", value=["", "b"]),
        put("classes", value=["a" * 201, "b"]),
        put("classes", value=["a\x1b[2J", "b"]),
        put("pictures", "count", value=0),
        put("pictures_per_shard", value=0),
        put("pictures_per_shard", value=10**30),
        put("autoencoder", "scaling_factor", value=0),
        put("autoencoder", "scaling_factor", value=-1.0),
        put("autoencoder", "encoder_sha256", value="0" * 63),
        put("autoencoder", "encoder_sha256", value="G" * 64),
        put("shards", value=None),
        put("shards", 0, "count", value=5),
        put("shards", 0, "skipped", value=[{"name": "a", "reason": "mood", "detail": ""}]),
        put("shards", 0, "skipped", value=[[]]),
        put("\x1b[2J\nforged", value=1),
        lambda content: content.pop("classes"),
        lambda content: content.pop("autoencoder"),
        lambda content: content["shards"].pop(),
    ],
)
def test_contents_that_no_writer_wrote_are_refused(folder: Path, edit: Callable[[dict], object]):
    change(folder, edit)
    assert CONTENTS_NAME in refusal(folder)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "1e999"])
def test_a_scaling_factor_that_is_not_finite_is_refused(folder: Path, constant: str):
    path = folder / CONTENTS_NAME
    path.write_text(
        path.read_text().replace('"scaling_factor": 0.5', f'"scaling_factor": {constant}')
    )
    assert CONTENTS_NAME in refusal(folder)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"format_version": ' + b"9" * 5000 + b"}",
        b'{"format_version": 1, "format_version": 1}',
    ],
    ids=range(9),
)
def test_a_file_that_is_no_contents_is_refused(folder: Path, text: bytes):
    (folder / CONTENTS_NAME).write_bytes(text)
    assert CONTENTS_NAME in refusal(folder)


def test_contents_without_end_are_not_read(folder: Path):
    with (folder / CONTENTS_NAME).open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert f"more than {MAX_BYTES} bytes" in refusal(folder)


def test_unknown_keys_without_end_are_one_error(folder: Path):
    keys = ", ".join(f'"k{number}": 0' for number in range(100_000))
    (folder / CONTENTS_NAME).write_text(f'{{"format_version": 1, {keys}}}')
    assert "100001 keys in one object" in refusal(folder)


def test_a_million_wrong_shards_are_one_error(folder: Path):
    change(folder, put("shards", value=[0] * 500_000))
    started = time.process_time()
    assert "shards.0" in refusal(folder)
    # One error for each would take minutes and gigabytes.
    assert time.process_time() - started < 5


def test_the_text_of_contents_does_not_drive_the_terminal(folder: Path):
    change(folder, put("shards", 1, "file", value="\x1b]0;title\x07"))
    assert "\x1b" not in refusal(folder)


@pytest.mark.parametrize("name", [CONTENTS_NAME, "latents-00001.safetensors"])
def test_a_file_that_is_a_link_is_refused(folder: Path, tmp_path: Path, name: str):
    outside = (folder / name).rename(tmp_path / "outside")
    (folder / name).symlink_to(outside)
    with pytest.raises(RefusedError, match="no plain file; copy the folder, links resolved"):
        LatentFolder.open(folder)


@needs_pipes
@pytest.mark.parametrize("name", [CONTENTS_NAME, "latents-00001.safetensors"])
def test_a_pipe_is_refused_and_never_waited_for(folder: Path, name: str):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(RefusedError, match="no plain file"):
        LatentFolder.open(folder)


# --------------------------------------------------------------------------------- the shards


def test_sizes_beyond_any_memory_are_refused_by_the_header(folder: Path):
    largest = 2**31 - 1

    def enlarge(content: dict) -> None:
        content.update(channels=largest, height=largest, width=largest)

    change(folder, enlarge)
    assert "latents is F32 [4, 3, 2, 2] for F32 [4, 2147483647" in refusal(folder)
    # A header that says the same has no such bytes behind it.
    header = {
        "latents": {"dtype": "F32", "shape": [2, largest, largest, largest], "data_offsets": [0, 8]}
    }
    text = json.dumps(header).encode()
    path = folder / "latents-00000.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    assert "latents-00000.safetensors: damaged" in refusal(folder)


def tensors(**changes: Tensor | None) -> dict[str, Tensor]:
    whole = {"latents": latents_of([4, 5]), "labels": labels_of([4, 5])} | changes
    return {name: tensor for name, tensor in whole.items() if tensor is not None}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (tensors(labels=None), "'labels' is missing"),
        (tensors(latents=None), "'latents' is missing"),
        (tensors(other=torch.zeros(1)), "it holds 'other'"),
        (tensors(latents=latents_of([4, 5]).double()), r"latents is F64 \[2, 3, 2, 2\] for F32"),
        (tensors(latents=latents_of([4, 5]).half()), "latents is F16"),
        (tensors(latents=latents_of([4])), r"latents is F32 \[1, 3, 2, 2\] for F32 \[2, 3, 2, 2\]"),
        (tensors(latents=latents_of([4, 5]).flatten(2)), r"latents is F32 \[2, 3, 4\] for"),
        (tensors(labels=labels_of([4, 5]).int()), r"labels is I32 \[2\] for I64 \[2\]"),
        (tensors(labels=torch.tensor([0, 2])), "labels from 0 to 2, there are 2 classes"),
        (tensors(labels=torch.tensor([-1, 1])), "labels from -1 to 1, there are 2 classes"),
        (tensors(labels=torch.tensor([2**62, -(2**62)])), "labels from -4611686018427387904 to"),
    ],
)
def test_a_file_with_other_tensors_than_its_folder_says_is_refused(
    folder: Path, content: dict[str, Tensor], fault: str
):
    save_file(content, shard(folder))
    with pytest.raises(InputError, match=rf"latents-00001\.safetensors: damaged \({fault}"):
        LatentFolder.open(folder)


def test_labels_where_no_classes_are_said_are_refused(folder: Path):
    change(folder, put("classes", value=None))
    assert "it holds 'labels'" in refusal(folder)


class _Runs:
    def __init__(self, witness: Path) -> None:
        self._witness = witness

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self._witness,)


def test_nothing_in_a_file_is_unpickled(folder: Path, tmp_path: Path):
    torch.save({"latents": _Runs(tmp_path / "witness")}, shard(folder))
    assert "damaged" in refusal(folder)
    shard(folder).write_bytes(pickle.dumps(_Runs(tmp_path / "witness")))
    assert "damaged" in refusal(folder)
    assert not (tmp_path / "witness").exists()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    flips=st.dictionaries(st.integers(0, 10**4), st.integers(1, 255), max_size=3),
    cut=st.integers(0, 10**4),
)
@example(flips={}, cut=0)
@example(flips={}, cut=7)
@example(flips={0: 255, 7: 255}, cut=10**4)
def test_no_change_of_a_shard_passes_the_hash_and_none_is_a_fault_of_ours(
    folder: Path, whole: bytes, flips: dict[int, int], cut: int
):
    changed = bytearray(whole)
    for at, bits in flips.items():
        changed[at % len(whole)] ^= bits
    changed = changed[:cut]
    # A file that is mapped must not be written over.
    shard(folder).unlink()
    shard(folder).write_bytes(changed)
    try:
        opened = LatentFolder.open(folder)
    except OURS:
        assert changed != whole
        return
    # Only values may differ; they are found where that is asked for.
    assert opened.read(range(6))[0].shape == (6, 3, 2, 2)
    if changed == whole:
        assert numbers_of(LatentFolder.open(folder, verify_hashes=True).read(range(6))[0])
    else:
        with pytest.raises(RefusedError, match="has another sha256"):
            LatentFolder.open(folder, verify_hashes=True)


@pytest.fixture
def whole(folder: Path) -> bytes:
    """The second file's bytes."""
    return shard(folder).read_bytes()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    key=st.sampled_from(sorted(empty_contents(3).model_dump())),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    ),
)
def test_any_value_of_any_key_is_read_as_it_says_or_refused_in_one_line(
    tmp_path: Path, key: str, value: object
):
    content = empty_contents(3).model_dump(mode="json") | {key: value}
    (tmp_path / CONTENTS_NAME).write_text(json.dumps(content))
    try:
        contents = read_contents(tmp_path)
    except OURS:
        assert refusal(tmp_path)
    else:
        assert contents.model_dump(mode="json")[key] == value
