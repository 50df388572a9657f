"""The program, run in this process, a terminal, and an autoencoder that costs nothing."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from program import Result, run_here

from dcae_export.bundle.manifest import AxisRange, Graph, Port
from dcae_export.cli import progress
from dcae_export.cli.commands.train import progress as training_progress
from dcae_export.runtime import autoencoder
from dcae_export.runtime.fit import Fit

DOWNSAMPLE = 32
CHANNELS = 4

Program = Callable[..., Result]


@pytest.fixture
def dcae(capsys: pytest.CaptureFixture[str]) -> Program:
    """Run ``dcae`` with these arguments."""
    return partial(run_here, capsys)


class Terminal(io.StringIO):
    """What is written to it can be read."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal for the progress on stderr."""
    stream = Terminal()
    for module in (progress, training_progress):
        monkeypatch.setattr(module, "sys", SimpleNamespace(stderr=stream))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return stream


class FakeAutoencoder:
    """Pictures come back with each sample off by one."""

    downsample = DOWNSAMPLE

    def __init__(self, opened_with: dict[str, object]) -> None:
        self.opened_with = opened_with
        self.bundle = SimpleNamespace(
            manifest=SimpleNamespace(model=SimpleNamespace(preset="fake")),
            check_graph=lambda name: SimpleNamespace(graph=decoder_graph()),
        )

    def check_size(self, size: tuple[int, int], *, mode: Fit, name: str = "") -> None:
        """Take every size."""

    def encode(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        height, width = image.shape[:2]
        assert height % DOWNSAMPLE == width % DOWNSAMPLE == 0
        return np.full((1, CHANNELS, height // DOWNSAMPLE, width // DOWNSAMPLE), 0.5, np.float32)

    def decode(self, latent: NDArray[np.float32]) -> NDArray[np.uint8]:
        count, _, height, width = latent.shape
        return np.full((count, height * DOWNSAMPLE, width * DOWNSAMPLE, 3), 128, np.uint8)

    def reconstruct(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return image[None] ^ 1


def decoder_graph() -> Graph:
    """A decoder for grids of up to eight by eight, two at a time."""
    return Graph(
        path="decoder.onnx",
        data=(),
        target="generic",
        precision="fp32",
        opset=18,
        activation_bytes=0,
        attention_bytes=0,
        inputs=(
            Port(name="latent", dtype="float32", shape=("batch", CHANNELS, "height", "width")),
        ),
        outputs=(Port(name="image", dtype="float32", shape=("batch", 3, "32*height", "32*width")),),
        ranges={
            "batch": AxisRange(min=1, max=2),
            "height": AxisRange(min=1, max=8),
            "width": AxisRange(min=1, max=8),
        },
    )


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[FakeAutoencoder]:
    """The autoencoders that were opened, all of them fakes."""
    fakes: list[FakeAutoencoder] = []

    class Opener:
        @staticmethod
        def open(bundle: Path, **options: object) -> FakeAutoencoder:
            fakes.append(FakeAutoencoder({"bundle": bundle, **options}))
            return fakes[-1]

    monkeypatch.setattr(autoencoder, "Autoencoder", Opener)
    return fakes
