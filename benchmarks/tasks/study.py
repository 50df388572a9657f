"""One stage of the study of the training phases, and what its network makes of pictures that it never saw.

``psnr``: the mean over pictures of the PSNR in decibels between a picture and its reconstruction, both 8 bit. It tells
how close colours are, and rewards blur where detail is lost: a GAN lowers it. ``sharpness``: the mean over pictures of
the reconstruction's mean absolute difference of neighbouring pixels by the picture's. 1 is as much contrast between
neighbours as the picture has, right or wrong; blur is below. It is what a GAN raises.
"""

import functools
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.tasks.small_training import narrow_config, train_network
from dcae_export.models.autoencoder import Autoencoder
from dcae_export.pictures.crops import TrainingCrop, adm_crop, cut
from dcae_export.pictures.metrics import psnr_db
from dcae_export.pictures.picture_file import read_picture
from dcae_export.pictures.pixels import to_tensor, to_uint8
from dcae_export.training.autoencoder.recipe import AutoencoderRecipe
from dcae_export.training.data.loading import to_batch
from dcae_export.training.engine.events import Event, StepDone
from dcae_export.training.initialization import initialize

Picture = NDArray[np.uint8]

# f64's graph and its compression; a block a stage.
_VARIANT, _LATENT_CHANNELS, _DEPTH = "f64", 128, 1
_FACTOR = 64
# Losses of so many steps at the end are averaged for the results.
_LAST_STEPS = 20


class RandomCrops:
    """Batches of crops of pictures in memory, each picture once in an epoch; all is drawn from the recipe's seed."""

    def __init__(self, pictures: Sequence[Picture], recipe: AutoencoderRecipe) -> None:
        self._pictures = pictures
        self._recipe = recipe

    def batches(self, position: dict[str, int]) -> Iterator[tuple[Tensor, dict[str, int]]]:
        """The batches from a position on, for ever."""
        crop = TrainingCrop(size=self._recipe.size, min_area=self._recipe.data.min_area)
        sample = position.get("sample", 0)
        while True:
            numbers = range(sample, sample + self._recipe.batch_size)
            crops = [
                cut(self._picture(n), crop, np.random.default_rng([self._recipe.seed, n]))
                for n in numbers
            ]
            sample = numbers.stop
            yield to_batch(crops), {"sample": sample}

    def _picture(self, sample: int) -> Picture:
        epoch, place = divmod(sample, len(self._pictures))
        order = np.random.default_rng([self._recipe.seed, epoch, 1]).permutation(
            len(self._pictures)
        )
        return self._pictures[order[place]]


def train_stage(
    recipe: dict[str, object],
    network: dict[str, object],
    start: str | None,
    weights: str,
    pictures: str,
    held_out: dict[str, object],
) -> dict[str, object]:
    """Train one stage, keep its averaged weights, and measure them.

    Args:
        recipe: What to do.
        network: ``divisor`` of the preset's widths; whether there are ``shortcuts`` around changes of resolution.
        start: The weights that it begins with; None draws them from the recipe's seed.
        weights: The file that they are written to.
        pictures: The folder to train on.
        held_out: As ``measure_bicubic`` takes it.
    """
    chosen = AutoencoderRecipe.model_validate(recipe)
    autoencoder = _build(**network)  # type: ignore[arg-type]
    if start is None:
        initialize(autoencoder, seed=chosen.seed)
    else:
        autoencoder.load_state_dict(load_file(start))
    losses: list[dict[str, float]] = []

    def on_event(event: Event) -> None:
        if isinstance(event, StepDone):
            losses.append(event.losses)

    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        state = train_network(
            autoencoder,
            chosen,
            RandomCrops(_read(Path(pictures)), chosen),
            Path(folder) / "run",
            on_event=on_event,
        )
    seconds = time.perf_counter() - begin
    Path(weights).parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, weights)
    autoencoder.load_state_dict(state)
    autoencoder.eval()
    last = losses[-_LAST_STEPS:]
    return {
        "steps": chosen.steps,
        "seconds": seconds,
        "parameters": sum(parameter.numel() for parameter in autoencoder.parameters()),
        "threads": torch.get_num_threads(),
        "losses": {name: statistics.fmean(step[name] for step in last) for name in last[-1]},
        "sha256": hashlib.sha256(Path(weights).read_bytes()).hexdigest(),
        **_measure(lambda picture: _reconstruct(autoencoder, picture), **held_out),  # type: ignore[arg-type]
    }


def measure_bicubic(held_out: dict[str, object]) -> dict[str, object]:
    """What is left of the pictures at the latent's resolution: shrunk and enlarged again, both bicubic.

    Args:
        held_out: The ``folder`` of pictures, and how many of them count at each side in pixels, ``counts``.
    """
    return _measure(_through_a_thumbnail, **held_out)  # type: ignore[arg-type]


def _build(divisor: int, *, shortcuts: bool) -> Autoencoder:
    """The network; without shortcuts its starting weights make up for them, as each layer says what it has."""
    config = narrow_config(
        _VARIANT, divisor=divisor, latent_channels=_LATENT_CHANNELS, depth=_DEPTH
    )
    network = Autoencoder(config)
    if not shortcuts:
        for part in network.modules():
            if getattr(part, "shortcut", False):
                part.shortcut = False
    return network


@functools.cache
def _read(folder: Path) -> tuple[Picture, ...]:
    """The pictures of a folder, 4 MB each, read once: decoding them for each crop took a third of the time."""
    return tuple(read_picture(path) for path in sorted(folder.iterdir()))


def _measure(
    reconstruct: Callable[[Picture], Picture], folder: str, counts: dict[str, int]
) -> dict[str, object]:
    """PSNR and sharpness by the side of the pictures."""
    pictures = _read(Path(folder))
    psnr: dict[str, float] = {}
    sharpness: dict[str, float] = {}
    for side, count in counts.items():
        crops = [adm_crop(picture, int(side)) for picture in pictures[:count]]
        results = [reconstruct(crop) for crop in crops]
        pairs = list(zip(crops, results, strict=True))
        psnr[side] = statistics.fmean(psnr_db(crop, result) for crop, result in pairs)
        sharpness[side] = statistics.fmean(
            _contrast(result) / _contrast(crop) for crop, result in pairs
        )
    return {"psnr": psnr, "sharpness": sharpness}


def _contrast(picture: Picture) -> float:
    """The mean absolute difference of neighbouring pixels, down and along."""
    levels = picture.astype(np.int16)
    return float(sum(np.abs(np.diff(levels, axis=axis)).mean() for axis in (0, 1)))


@torch.inference_mode()
def _reconstruct(network: Autoencoder, picture: Picture) -> Picture:
    return to_uint8(network(torch.from_numpy(to_tensor(picture[None]))).numpy())[0]


def _through_a_thumbnail(picture: Picture) -> Picture:
    image = Image.fromarray(picture)
    small = image.resize((image.width // _FACTOR, image.height // _FACTOR), Resampling.BICUBIC)
    return np.array(small.resize(image.size, Resampling.BICUBIC))
