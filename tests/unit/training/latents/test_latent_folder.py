from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from latent_folders import (
    CLASSES,
    SHAPE,
    empty_contents,
    files_of,
    labels_of,
    latents_of,
    write_folder,
)

from dcae_export.errors import InputError, RefusedError
from dcae_export.training.latents.contents import write_contents
from dcae_export.training.latents.folder import LatentFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten latents in three files."""
    return write_folder(tmp_path / "latents", 10)


def test_a_folder_says_what_is_in_it(folder: Path):
    opened = LatentFolder.open(folder)
    assert (opened.count, opened.shape, opened.classes, opened.size) == (10, SHAPE, CLASSES, 64)
    assert opened.autoencoder.scaling_factor == 0.5
    assert list(files_of(folder)) == [
        "latents-00000.safetensors",
        "latents-00001.safetensors",
        "latents-00002.safetensors",
        "latents.json",
    ]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(numbers=st.lists(st.integers(0, 9), max_size=12))
def test_latents_are_read_in_any_order_with_their_labels(folder: Path, numbers: list[int]):
    latents, labels = LatentFolder.open(folder).read(numbers)
    assert latents.dtype == torch.float32
    assert torch.equal(latents, latents_of(numbers))
    assert labels is not None
    assert torch.equal(labels, labels_of(numbers))


def test_without_classes_there_are_no_labels(tmp_path: Path):
    opened = LatentFolder.open(write_folder(tmp_path / "latents", 5, classes=None))
    latents, labels = opened.read([4, 0])
    assert opened.classes is None
    assert labels is None
    assert torch.equal(latents, latents_of([4, 0]))


def test_numbers_pass_over_pictures_without_latents_and_files_without_any(tmp_path: Path):
    without = [1, 4, 5, 6, 7, 8]
    opened = LatentFolder.open(write_folder(tmp_path / "latents", 10, without=without))
    assert opened.count == 4
    latents, _ = opened.read(range(4))
    assert torch.equal(latents, latents_of([0, 2, 3, 9]))


def test_what_is_read_is_a_copy_that_may_be_changed(folder: Path):
    opened = LatentFolder.open(folder)
    opened.read([3])[0].zero_()
    assert torch.equal(opened.read([3])[0], latents_of([3]))
    assert LatentFolder.open(folder, verify_hashes=True).count == 10


def test_a_folder_of_something_else_is_told_how_one_is_made(tmp_path: Path):
    with pytest.raises(InputError, match=r"holds no latents\.json; dcae latents makes one"):
        LatentFolder.open(tmp_path)


def test_a_folder_that_is_not_complete_is_told_how_it_goes_on(tmp_path: Path):
    write_contents(tmp_path, empty_contents(9))
    with pytest.raises(InputError, match="0 of its 9 pictures are encoded; the dcae latents that"):
        LatentFolder.open(tmp_path)


def test_hashes_are_checked_where_that_is_asked_for(folder: Path):
    path = folder / "latents-00001.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert LatentFolder.open(folder).count == 10
    with pytest.raises(RefusedError, match=r"latents-00001\.safetensors: has another sha256"):
        LatentFolder.open(folder, verify_hashes=True)


def test_a_file_that_is_missing_is_found_at_the_start(folder: Path):
    (folder / "latents-00002.safetensors").unlink()
    with pytest.raises(InputError, match=r"latents-00002\.safetensors: cannot be read: No such"):
        LatentFolder.open(folder)
