"""A training at full size that is killed: minutes and gigabytes, so run on purpose."""

import csv
import math
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from export_factory import photographs
from training_kills import kill_at_random, last_checkpoint

from dcae_export.models.network import build
from dcae_export.models.source import resolve

pytestmark = [pytest.mark.integration, pytest.mark.slow]

STEPS = 3
# About what a step and its checkpoint take together.
_LONGEST_WAIT_S = 10
_SETTINGS = {
    "batch_size": 1,
    "workers": 0,
    "steps": STEPS,
    "precision": "fp32",
    "losses.perceptual.kind": "structure",
    "losses.adversarial.start_step": 0,
    "checkpoint_every": 1,
    "sample_every": "null",
    "evaluation_images": 1,
}


@pytest.fixture
def folder(tmp_path) -> Iterator[Path]:
    """A folder of gigabytes, which pytest would keep after the test."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_f64_killed_in_its_last_phase_goes_on_from_its_checkpoint(folder: Path):
    pictures = folder / "pictures"
    pictures.mkdir()
    for number, picture in enumerate(photographs(2, 320, 320)):
        assert cv2.imwrite(str(pictures / f"{number}.png"), picture[..., ::-1])

    def command(run: Path) -> list[str]:
        begin = ["--resume"] if run.exists() else ["--init-from", "random:0"]
        changes = [f"--set={key}={value}" for key, value in _SETTINGS.items()]
        program = [sys.executable, "-m", "dcae_export", "train", "autoencoder", "f64-phase3"]
        return [*program, "--data", str(pictures), "--out", str(run), *begin, *changes]

    run = folder / "run"
    seed = next(seed for seed in range(100) if random.Random(seed).randrange(STEPS) == 1)
    kills = kill_at_random(
        command, run, steps=STEPS, times=1, longest_wait_s=_LONGEST_WAIT_S, seed=seed
    )
    assert kills == 1
    with (run / "losses.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, STEPS + 1))
    assert all(math.isfinite(float(row["l1"])) for row in rows)
    assert last_checkpoint(run)
    checkpoint = resolve(str(run), variant="f64")
    build(checkpoint.config).load_state_dict(checkpoint.state, strict=True)
