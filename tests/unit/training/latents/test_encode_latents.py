import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from autoencoders import small_checkpoint
from latent_folders import files_of
from tiny_encodings import CONFIG, SIDE_PIXELS, noise, write_noise, write_pictures
from torch import Tensor

from dcae_export.errors import (
    ConfigError,
    InputError,
    ParityError,
    PictureError,
    ResourceError,
    UsageError,
)
from dcae_export.models.presets import PRESETS
from dcae_export.models.state import encoder_digest
from dcae_export.models.weights import AutoencoderCheckpoint
from dcae_export.pictures import failures_in_a_row
from dcae_export.pictures.pixels import to_tensor
from dcae_export.training.data.labelled_pictures import find_pictures
from dcae_export.training.latents import encode as module
from dcae_export.training.latents.encode import EncodedLatents, EncodingSettings, encode_latents
from dcae_export.training.latents.folder import LatentFolder

CPU = torch.device("cpu")
CHECKPOINT = small_checkpoint(CONFIG)
SETTINGS = EncodingSettings(size=SIDE_PIXELS, seed=0, batch_size=2, workers=0)

Told = Callable[[int, int], None]


class Means:
    """In place of a network: each picture's mean, in every channel with the channel's number added."""

    def __init__(
        self, checkpoint: AutoencoderCheckpoint, device: torch.device, *, seed: int
    ) -> None:
        assert device.type == "cpu"

    def __call__(self, images: Tensor, numbers: tuple[int, ...]) -> Tensor:
        assert len(images) == len(numbers)
        return images.mean((1, 2, 3)).reshape(-1, 1, 1, 1) + torch.arange(8).reshape(8, 1, 1)


@pytest.fixture(autouse=True)
def _no_network_and_small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LatentEncoder", Means)
    monkeypatch.setattr(module, "_MAX_PICTURES_PER_SHARD", 3)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures")


def encode(
    pictures: Path,
    target: Path,
    *,
    checkpoint: AutoencoderCheckpoint = CHECKPOINT,
    settings: EncodingSettings = SETTINGS,
    on_progress: Told = lambda done, total: None,
) -> EncodedLatents:
    found = find_pictures(pictures, min_side=1, flat=False)
    encoded = encode_latents(checkpoint, found, target, settings, on_progress=on_progress)
    assert encoded is not None
    return encoded


def test_each_picture_has_its_latent_and_its_label(pictures: Path, tmp_path: Path):
    encoded = encode(pictures, tmp_path / "latents")
    assert (encoded.contents.count, encoded.num_new, encoded.num_skipped) == (8, 9, 1)
    folder = LatentFolder.open(tmp_path / "latents", verify_hashes=True)
    latents, labels = folder.read(range(8))
    images = torch.from_numpy(to_tensor(np.stack([noise(number) for number in range(8)])))
    torch.testing.assert_close(latents, Means(CHECKPOINT, CPU, seed=0)(images, tuple(range(8))))
    assert folder.classes == ("ant", "bee")
    assert labels is not None
    assert labels.tolist() == [0] * 5 + [1] * 3


def test_the_folder_says_what_made_it(pictures: Path, tmp_path: Path):
    contents = encode(pictures, tmp_path / "latents").contents
    source = contents.autoencoder
    assert (source.preset, source.source, source.random_weights) == ("custom", "random:0", True)
    assert source.encoder_sha256 == encoder_digest(CHECKPOINT.state)
    assert source.scaling_factor == CONFIG.scaling_factor
    assert (contents.size, contents.shape, contents.sampled) == (SIDE_PIXELS, (8, 1, 1), False)
    assert (contents.pictures.count, contents.pictures_per_shard) == (9, 3)
    assert [shard.count for shard in contents.shards] == [3, 3, 2]


def test_what_cannot_be_decoded_is_left_out_and_listed(pictures: Path, tmp_path: Path):
    (pictures / "ant" / "no.png").write_bytes(b"no picture")
    encoded = encode(pictures, tmp_path / "latents")
    assert encoded.num_skipped == 2
    listed = [(skip.name, skip.reason.value) for skip in encoded.skipped.listed]
    assert listed == [("ant/no.png", "unreadable"), ("bee/8.png", "unreadable")]
    assert encoded.contents.shards[2].skipped[0].detail.startswith("the PNG is truncated")
    assert (tmp_path / "latents" / "skipped.csv").read_text().count("\n") == 3


def interrupted_at(done: int) -> Told:
    def stop(now: int, total: int) -> None:
        assert total == 9
        if now >= done:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("done", [0, 2, 3, 5, 8])
def test_an_interrupted_encoding_goes_on_to_the_same_bytes(
    pictures: Path, tmp_path: Path, done: int
):
    encode(pictures, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        encode(pictures, tmp_path / "parts", on_progress=interrupted_at(done))
    told: list[int] = []
    encoded = encode(pictures, tmp_path / "parts", on_progress=lambda now, total: told.append(now))
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "whole")
    # Shards of three are whole or not there; batches of two do not reach over their ends.
    assert told[0] == done - done % 3
    assert encoded.num_new == 9 - told[0]


def test_a_complete_folder_is_left_as_it_is(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first = encode(pictures, tmp_path / "latents")
    before = files_of(tmp_path / "latents")
    monkeypatch.setattr(module, "LatentEncoder", lambda *args, **options: pytest.fail("loaded"))
    again = encode(pictures, tmp_path / "latents")
    assert (again.contents, again.num_new, again.num_skipped) == (first.contents, 0, 1)
    assert [skip.name for skip in again.skipped.listed] == ["bee/8.png"]
    assert files_of(tmp_path / "latents") == before


def test_a_changed_folder_of_pictures_is_refused_and_put_back_goes_on(
    pictures: Path, tmp_path: Path
):
    with pytest.raises(KeyboardInterrupt):
        encode(pictures, tmp_path / "latents", on_progress=interrupted_at(5))
    write_noise(pictures / "bee" / "9.png", 9)
    with pytest.raises(InputError, match="begun with other pictures: 9 then, 10 of other names"):
        encode(pictures, tmp_path / "latents")
    (pictures / "bee" / "9.png").unlink()
    assert encode(pictures, tmp_path / "latents").contents.complete


def test_another_batch_size_goes_on(pictures: Path, tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        encode(pictures, tmp_path / "latents", on_progress=interrupted_at(5))
    settings = dataclasses.replace(SETTINGS, batch_size=3)
    assert encode(pictures, tmp_path / "latents", settings=settings).contents.count == 8


def test_a_shard_holds_few_large_latents(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_MAX_SHARD_BYTES", 2 * 8 * 4)
    assert encode(pictures, tmp_path / "two").contents.pictures_per_shard == 2
    monkeypatch.setattr(module, "_MAX_SHARD_BYTES", 1)
    assert encode(pictures, tmp_path / "one").contents.pictures_per_shard == 1


def test_a_size_that_does_not_fit_names_those_that_do(pictures: Path, tmp_path: Path):
    settings = dataclasses.replace(SETTINGS, size=100)
    with pytest.raises(UsageError, match=r"size: 100 is no multiple of 64, .* 64 and 128 would be"):
        encode(pictures, tmp_path / "latents", settings=settings)
    assert not (tmp_path / "latents").exists()


def test_an_autoencoder_without_a_scaling_factor_is_refused(pictures: Path, tmp_path: Path):
    config = dataclasses.replace(CONFIG, scaling_factor=None)
    checkpoint = dataclasses.replace(CHECKPOINT, config=config)
    with pytest.raises(
        ConfigError, match="no scaling factor is published for custom; name weights"
    ):
        encode(pictures, tmp_path / "latents", checkpoint=checkpoint)


def test_a_latent_that_is_not_finite_is_never_written(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def overflow(encoder: Means, images: Tensor, numbers: tuple[int, ...]) -> Tensor:
        latents = torch.zeros(len(numbers), 8, 1, 1)
        latents[[number == 4 for number in numbers], 5] = torch.inf
        return latents

    monkeypatch.setattr(Means, "__call__", overflow)
    with pytest.raises(ParityError, match=r"latents-00001\.safetensors: latent 1 of it is not fin"):
        encode(pictures, tmp_path / "latents")
    assert list(files_of(tmp_path / "latents")) == ["latents-00000.safetensors", "latents.json"]


def test_pictures_that_fail_without_end_are_a_fault_of_the_disk(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = find_pictures(pictures, min_side=1, flat=False)
    for path in (pictures / "ant").iterdir():
        path.write_bytes(path.read_bytes()[:-12])
    monkeypatch.setattr(failures_in_a_row, "MAX_FAILURES_IN_A_ROW", 5)
    with pytest.raises(PictureError, match=r"5 pictures in a row cannot be read; the last, ant/4"):
        encode_latents(
            CHECKPOINT, found, tmp_path / "latents", SETTINGS, on_progress=lambda *_: None
        )


def test_a_batch_that_does_not_fit_says_what_to_choose(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Means, "__call__", fail)
    with pytest.raises(ResourceError, match=r"2 pictures of 64 px do not fit .* smaller --batch-"):
        encode(pictures, tmp_path / "latents")


@pytest.mark.parametrize("name", ["dc-ae-f32c32-in-1.0", "dc-ae-f64c128-in-1.0", "sd-f8"])
def test_a_file_of_a_published_autoencoder_at_512_px_holds_1024_pictures(
    monkeypatch: pytest.MonkeyPatch, pictures: Path, name: str
):
    monkeypatch.undo()
    checkpoint = dataclasses.replace(CHECKPOINT, config=PRESETS[name].config)
    settings = dataclasses.replace(SETTINGS, size=512)
    found = find_pictures(pictures, min_side=1, flat=False)
    assert module._contents(checkpoint, found, settings).pictures_per_shard == 1024
