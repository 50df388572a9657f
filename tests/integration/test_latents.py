"""``dcae latents`` from pictures to a folder that trains: against other code, killed, and on two processes."""

import csv
import dataclasses
import json
import os
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from autoencoders import TINY_SD_VAE, small_checkpoint
from crafted_pictures import encode
from death_at_step import dies_before, needs_fork
from diffusers import AutoencoderDC, AutoencoderKL
from latent_folders import empty_contents, files_of, take, write_folder
from program import run_here
from tiny_encodings import CONFIG, SIDE_PIXELS, noise, write_pictures
from torch import Tensor
from training_kills import environment

from dcae_export.models.key_map import Layout
from dcae_export.models.state import encoder_digest
from dcae_export.models.weights import load_checkpoint, save_checkpoint
from dcae_export.parity import FP32, difference
from dcae_export.sampling.noise import normals
from dcae_export.training.latents.contents import read_contents, shard_name, write_contents
from dcae_export.training.latents.data import LatentData
from dcae_export.training.latents.folder import LatentFolder
from dcae_export.training.latents.shard import verify_shard

pytestmark = pytest.mark.integration

_PROGRAM = Path(__file__).parents[1] / "tiny_encodings.py"
_LONGEST_S = 120
_LOOK_EVERY_S = 0.005


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny f64, a tiny SD-VAE, and nine pictures of two classes, one of them damaged."""
    folder = tmp_path_factory.mktemp("inputs")
    save_checkpoint(small_checkpoint(CONFIG), folder / "dc-ae", layout=Layout.DIFFUSERS)
    save_checkpoint(small_checkpoint(TINY_SD_VAE), folder / "sd-vae", layout=Layout.DIFFUSERS)
    write_pictures(folder / "pictures")
    return folder


@pytest.fixture
def dcae(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """The program in this process, on the CPU."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    return partial(run_here, capsys)


def arguments(
    inputs: Path,
    out: Path,
    *,
    weights: str = "dc-ae",
    workers: int = 0,
    size: int = SIDE_PIXELS,
) -> list[str]:
    where = ["--autoencoder", inputs / weights, "--data", inputs / "pictures", "--out", out]
    how = ["--size", size, "--batch-size", "2", "--workers", workers]
    return ["latents", *map(str, [*where, *how])]


def in_small_files(inputs: Path, out: Path, *, workers: int = 0) -> list[str]:
    """The program with files of one latent."""
    return [sys.executable, str(_PROGRAM), *arguments(inputs, out, workers=workers)]


@pytest.fixture(scope="module")
def undisturbed(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that never stopped."""
    out = tmp_path_factory.mktemp("undisturbed") / "latents"
    run(in_small_files(inputs, out, workers=1))
    return out


def on_cpu() -> dict[str, str]:
    """Where equal work gives equal bytes."""
    return environment() | {"ACCELERATE_USE_CPU": "true"}


def run(command: list[str]) -> str:
    done = subprocess.run(
        command, env=on_cpu(), check=True, capture_output=True, text=True, timeout=_LONGEST_S
    )
    return done.stdout


def images(count: int) -> Tensor:
    """The first pictures as a network takes them, without this package's code."""
    pixels = np.stack([noise(number) for number in range(count)]).transpose(0, 3, 1, 2)
    return torch.from_numpy(pixels.astype(np.float32) / 127.5 - 1)


# ------------------------------------------------------------------------------ the latents


def test_a_folder_of_pictures_becomes_latents_that_train(dcae, inputs: Path, tmp_path: Path):
    out = tmp_path / "latents"
    result = dcae(*arguments(inputs, out))
    assert result.out == f"{out}: 8 latents of 8x1x1, 2 classes\n"
    assert "left out: 1 pictures; the first, bee/8.png: the PNG is truncated" in result.err
    folder = LatentFolder.open(out, verify_hashes=True)
    assert (folder.count, folder.shape, folder.classes) == (8, (8, 1, 1), ("ant", "bee"))
    own = load_checkpoint(inputs / "dc-ae")
    assert folder.autoencoder.encoder_sha256 == encoder_digest(own.state)
    data = LatentData.open(folder, batch_size=4, seed=0)
    labels = torch.cat([batch.labels for batch, _ in take(data, 2) if batch.labels is not None])
    assert sorted(labels.tolist()) == [0] * 5 + [1] * 3
    with (out / "skipped.csv").open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["bee/8.png"]


def test_latents_are_those_of_diffusers(inputs: Path, undisturbed: Path):
    theirs = AutoencoderDC.from_pretrained(inputs / "dc-ae").eval()
    with torch.inference_mode():
        expected = theirs.encode(images(8)).latent * CONFIG.scaling_factor
    latents, _ = LatentFolder.open(undisturbed).read(range(8))
    compared = difference(latents.numpy(), expected.numpy())
    assert compared.within(FP32), str(compared)


def test_latents_of_an_sd_vae_are_drawn_from_its_posterior(dcae, inputs: Path, tmp_path: Path):
    out = tmp_path / "latents"
    seed = ("--seed", "5")
    result = dcae(*arguments(inputs, out, weights="sd-vae"), *seed, "--json")
    assert json.loads(result.out)["sampled"] is True
    theirs = AutoencoderKL.from_pretrained(inputs / "sd-vae").eval()
    with torch.inference_mode():
        posterior = theirs.encode(images(8)).latent_dist
    shape = posterior.mean.shape[1:]
    drawn = [normals(5, stream=number, count=shape.numel()) for number in range(8)]
    draws = torch.from_numpy(np.stack(drawn)).reshape(8, *shape)
    expected = (posterior.mean + posterior.std * draws) * TINY_SD_VAE.scaling_factor
    latents, _ = LatentFolder.open(out).read(range(8))
    compared = difference(latents.numpy(), expected.numpy())
    assert compared.within(FP32), str(compared)
    # What is added to the mean is as wide as the posterior, and another noise for each picture.
    residues = (latents / TINY_SD_VAE.scaling_factor - posterior.mean) / posterior.std
    assert 0.9 < float(residues.std()) < 1.1
    assert float(torch.corrcoef(residues.flatten(1)).fill_diagonal_(0).abs().max()) < 0.2


def test_a_training_run_is_an_autoencoder_with_its_own_scaling_factor(
    dcae, inputs: Path, tmp_path: Path
):
    run_folder = tmp_path / "run"
    config = dataclasses.replace(CONFIG, scaling_factor=0.75)
    checkpoint = dataclasses.replace(small_checkpoint(CONFIG), config=config)
    save_checkpoint(checkpoint, run_folder / "model", layout=Layout.DIFFUSERS)
    (run_folder / "recipe.yaml").write_text("phase: full\n")
    result = dcae(*arguments(inputs, tmp_path / "out", weights=str(run_folder)))
    assert result.status == 0
    opened = LatentFolder.open(tmp_path / "out")
    assert opened.autoencoder.model_dump() == {
        "preset": "custom",
        "source": str(run_folder),
        "encoder_sha256": encoder_digest(checkpoint.state),
        "scaling_factor": 0.75,
        "random_weights": False,
    }


def test_small_pictures_are_enlarged_or_left_out(dcae, inputs: Path, tmp_path: Path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, side in enumerate((20, 30, 200)):
        (pictures / f"{number}.png").write_bytes(encode(noise(0, height=side, width=90), ".png"))
    how = ("--data", pictures, "--size", "64", "--workers", "0")
    command = ("latents", "--autoencoder", inputs / "dc-ae", *how)
    every = dcae(*command, "--out", tmp_path / "all", "--json")
    assert json.loads(every.out)["latents"] == 3
    assert json.loads(every.out)["classes"] is None
    bounded = dcae(*command, "--out", tmp_path / "large", "--min-side", "25", "--json")
    content = json.loads(bounded.out)
    assert (content["latents"], content["num_skipped"]) == (2, 1)
    assert content["skipped"][0]["reason"] == "too small"


def test_errors_are_one_line_with_the_way_out(
    dcae, inputs: Path, undisturbed: Path, tmp_path: Path
):
    other = dcae(*arguments(inputs, undisturbed, weights="sd-vae"))
    assert other.status == 3
    assert other.err.startswith(f"dcae: error: {undisturbed}: was begun with an encoder of sha256")
    wrong_size = dcae(*arguments(inputs, tmp_path / "out", size=100))
    assert wrong_size.status == 2
    assert wrong_size.err.endswith("needs; 64 and 128 would be\n")
    assert other.err.count("\n") == wrong_size.err.count("\n") == 1


# --------------------------------------------------------------------------- kills, processes


def test_an_encoding_killed_on_its_way_ends_with_the_bytes_of_an_undisturbed_one(
    inputs: Path, undisturbed: Path, tmp_path: Path
):
    out, kills = tmp_path / "latents", 0
    for num_shards in (0, 2, 4, 6):
        with subprocess.Popen(
            in_small_files(inputs, out), env=on_cpu(), stdout=subprocess.DEVNULL
        ) as process:
            _wait_for_shards(process, out, num_shards)
            kills += process.poll() is None
            process.kill()
        contents = read_contents(out)
        for number in range(len(contents.shards)):
            verify_shard(out, contents, number)
    # On a machine that is in use the last process may come to its end before it is looked at.
    assert kills >= 3
    line = run(in_small_files(inputs, out))
    assert line.startswith(f"{out}: ")
    assert files_of(out) == files_of(undisturbed)
    assert not list(out.glob(".*.tmp"))
    assert ": was complete: 8 latents" in run(in_small_files(inputs, out))


def _wait_for_shards(process: subprocess.Popen[bytes], out: Path, count: int) -> None:
    until = time.monotonic() + _LONGEST_S
    while process.poll() is None and time.monotonic() < until:
        if (out / "latents.json").exists() and len(read_contents(out).shards) >= count:
            return
        time.sleep(_LOOK_EVERY_S)


@needs_fork
def test_a_kill_before_any_step_leaves_a_folder_that_is_gone_on_with(tmp_path: Path):
    expected = files_of(write_folder(tmp_path / "expected", 6, without=[1]))
    moment, alive, num_listed = 0, False, 0
    while not alive:
        moment += 1
        out = tmp_path / f"{moment}"
        alive = not dies_before(moment, partial(write_folder, out, 6, without=[1]))
        if (out / "latents.json").exists():
            contents = read_contents(out)
            # What is listed is whole, whenever the process died.
            for number in range(len(contents.shards)):
                verify_shard(out, contents, number)
                num_listed += 1
        write_folder(out, 6, without=[1])
        assert files_of(out) == expected
    assert moment > 20
    assert num_listed > 10


def test_two_processes_make_the_bytes_of_one(inputs: Path, undisturbed: Path, tmp_path: Path):
    out = tmp_path / "latents"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            in_small_files(inputs, out),
            env=on_cpu() | place | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    ends = [process.communicate(timeout=_LONGEST_S) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ends
    assert ends[0][0] == f"{out}: 8 latents of 8x1x1, 2 classes\n"
    assert ends[1][0] == ""
    assert files_of(out) == files_of(undisturbed)
    assert len(read_contents(out).shards) == 9


# ------------------------------------------------------------------------------- its memory


@pytest.mark.skipif(sys.platform != "linux", reason="files with holes, and /proc")
def test_a_folder_larger_than_the_memory_is_read(tmp_path: Path):
    """Files with holes: no disk is used, and every byte that is read is a zero."""
    per_shard, shape = 256, (64, 128, 128)
    shard_bytes = 4 * per_shard * int(np.prod(shape))
    num_shards = 2 * psutil.virtual_memory().total // shard_bytes + 1
    contents = empty_contents(per_shard * num_shards, classes=None).model_copy(
        update=dict(zip(("channels", "height", "width"), shape, strict=True))
        | {"pictures_per_shard": per_shard}
    )
    header = {
        "latents": {
            "dtype": "F32",
            "shape": [per_shard, *shape],
            "data_offsets": [0, shard_bytes],
        }
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    shards = []
    for number in range(num_shards):
        with (tmp_path / shard_name(number)).open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.truncate(8 + len(text) + shard_bytes)
        shards.append(
            {"file": shard_name(number), "count": per_shard, "sha256": "0" * 64, "skipped": ()}
        )
    whole = type(contents).model_validate(
        contents.model_dump()
        | {"shards": shards, "count": per_shard * num_shards, "complete": True}
    )
    write_contents(tmp_path, whole)
    data = LatentData.open(LatentFolder.open(tmp_path), batch_size=8, seed=0)
    before = _anonymous_bytes()
    for batch, _ in take(data, 20):
        assert batch.latents.shape == (8, *shape)
        assert not batch.latents.any()
    # The batches, each 32 MiB, and some overhead: nothing of what was mapped.
    assert _anonymous_bytes() - before < 128 * 2**20


def _anonymous_bytes() -> int:
    """Memory of this process that no file stands behind."""
    status = Path(f"/proc/{os.getpid()}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(line.split()[1]) * 1024
