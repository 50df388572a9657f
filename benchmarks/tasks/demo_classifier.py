"""A small network that names the demo's families, trained on pictures that are drawn for it alone.

It judges what a bundle generates, so it must not go by what an autoencoder loses: its pictures are blurred, made
noisy, brighter and darker, cut and mirrored at random.
"""

import functools
import hashlib
import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from recipes.demo.numbering import Split, draw_picture
from recipes.demo.table import FAMILIES

Picture = NDArray[np.uint8]

# The labels that a bundle of the demo model has: class folders are sorted by name.
LABELS = tuple(sorted(FAMILIES))
SIDE = 128
_DRAWN_SIDE = 256
# Beyond those that the demo model is trained on.
_FIRST_NUMBER = 1_000_000
_PATCH = 4
_WIDTHS = (32, 64, 96)
_BATCH = 64
_LEARNING_RATE = 4e-3
_WEIGHT_DECAY = 0.05
_SMALLEST_CUT = 0.7
_MOST_BLUR = 5.0
_MOST_NOISE = 0.08
_LAST_BATCHES = 20


class FamilyClassifier(nn.Module):
    """Patches of four pixels, two halvings, and of each channel what is strongest and what is usual."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third = _WIDTHS
        self.features = nn.Sequential(
            _convolution(3, first, kernel=_PATCH, stride=_PATCH, padding=0),
            _convolution(first, first),
            _convolution(first, second, stride=2),
            _convolution(second, second),
            _convolution(second, third, stride=2),
            _convolution(third, third),
        )
        self.head = nn.Linear(2 * third, len(LABELS))

    def forward(self, x_B3HW: Tensor) -> Tensor:
        x = self.features(x_B3HW)
        return self.head(torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1))


def _convolution(
    before: int, width: int, *, kernel: int = 3, stride: int = 1, padding: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, width, kernel, stride=stride, padding=padding, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


def train_classifier(weights: str, count: int, epochs: int, seed: int) -> dict[str, object]:
    """Train on ``count`` pictures of each family, and write the weights."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images, labels = _draw(count)
    classifier = FamilyClassifier()
    optimizer = torch.optim.AdamW(
        classifier.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY
    )
    per_epoch = math.ceil(len(images) / _BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=_LEARNING_RATE, total_steps=epochs * per_epoch
    )
    losses: list[float] = []
    begin = time.perf_counter()
    for _ in range(epochs):
        for numbers in torch.randperm(len(images), generator=generator).split(_BATCH):
            batch = _varied(_normalized(images[numbers]), generator)
            loss = F.cross_entropy(classifier(batch), labels[numbers])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    path = Path(weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(classifier.state_dict(), path)
    return {
        "pictures": len(images),
        "epochs": epochs,
        "parameters": sum(one.numel() for one in classifier.parameters()),
        "loss": statistics.fmean(losses[-_LAST_BATCHES:]),
        "seconds": time.perf_counter() - begin,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def count_names(weights: str, pictures: Sequence[Picture]) -> dict[str, int]:
    """How many of the pictures the classifier gives each name."""
    names = [LABELS[number] for number in _named(weights, pictures)]
    return {label: names.count(label) for label in LABELS}


@torch.inference_mode()
def _named(weights: str, pictures: Sequence[Picture]) -> list[int]:
    images = torch.from_numpy(np.stack([_small(picture) for picture in pictures]))
    scores = [_open(weights)(_normalized(batch)) for batch in images.split(_BATCH)]
    return torch.cat(scores).argmax(dim=1).tolist()


@functools.cache
def _open(weights: str) -> FamilyClassifier:
    classifier = FamilyClassifier()
    classifier.load_state_dict(load_file(weights))
    return classifier.eval()


def _draw(count: int) -> tuple[Tensor, Tensor]:
    """Pictures, (N, SIDE, SIDE, 3), and their labels."""
    pictures = [
        _small(draw_picture(Split.TRAINING, family, _FIRST_NUMBER + number, _DRAWN_SIDE))
        for family in LABELS
        for number in range(count)
    ]
    labels = torch.arange(len(LABELS)).repeat_interleave(count)
    return torch.from_numpy(np.stack(pictures)), labels


def _small(picture: Picture) -> Picture:
    return cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _normalized(images_BHW3: Tensor) -> Tensor:
    return images_BHW3.permute(0, 3, 1, 2).float() / 127.5 - 1


def _varied(x_B3HW: Tensor, generator: torch.Generator) -> Tensor:
    """The batch cut, mirrored, blurred, brighter or darker, and with noise, all at random."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(len(x_B3HW), 1, 1, 1, generator=generator) * (high - low) + low

    scale = uniform(_SMALLEST_CUT, 1).flatten()
    mirror = torch.where(uniform(0, 1).flatten() < 0.5, -1.0, 1.0)
    zero = torch.zeros_like(scale)
    along, down = ((1 - scale) * uniform(-1, 1).flatten() for _ in range(2))
    rows = [torch.stack(row, dim=1) for row in ((scale * mirror, zero, along), (zero, scale, down))]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(x_B3HW.shape), align_corners=False)
    x = F.grid_sample(x_B3HW, grid, padding_mode="reflection", align_corners=False)
    # From nothing to blocks of so many pixels; half of a batch stays sharp.
    blur = float(torch.rand(1, generator=generator)) * (_MOST_BLUR - 1) + 1
    small = F.interpolate(x, size=round(SIDE / blur), mode="bilinear", antialias=True)
    blurred = F.interpolate(small, size=SIDE, mode="bicubic")
    x = torch.where(uniform(0, 1) < 0.5, blurred, x)
    x = x * uniform(0.8, 1.2) + uniform(-0.15, 0.15)
    return x + torch.randn(x.shape, generator=generator) * uniform(0, _MOST_NOISE)
