"""``dcae evaluate`` as a user runs it, on a tiny random bundle: figures, resumption, several processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from autoencoders import small_checkpoint
from evaluated_pictures import fid_by_scipy, write_pictures
from export_factory import TINY
from program import dcae
from skimage.metrics import peak_signal_noise_ratio
from transformers_factory import GRID, SCALED_LINEAR, TINY_UVIT, tiny_transformer

from dcae_export import Autoencoder, Pipeline
from dcae_export.evaluation.generation import draw_labels
from dcae_export.evaluation.inception_features import InceptionFeatures
from dcae_export.evaluation.metric_networks import inception_network
from dcae_export.export.exporter import TransformerExport, export
from dcae_export.export.options import ExportOptions
from dcae_export.pictures.crops import adm_crop
from dcae_export.pictures.picture_file import read_picture

pytestmark = pytest.mark.integration

SIZE = 64
COUNT = 10
RANDOM = ("--inception", "random:0", "--alexnet", "random:0")
# Batches are cut elsewhere, so float32 sums are taken in another order.
OTHER_BATCHES = 1e-5
# The order of a sum depends on the threads.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
_LONGEST_S = 600

# The program, which keeps how far it is after every batch.
_KEEPING = """
import dcae_export.evaluation.kept_tally as kept_tally
kept_tally.INTERVAL_S = 0.0
from dcae_export.cli import main
main()
"""


class Inputs(NamedTuple):
    """A bundle, and a folder of pictures one of which is damaged."""

    bundle: Path
    folder: Path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Inputs:
    folder = tmp_path_factory.mktemp("evaluate")
    transformer = tiny_transformer(TINY_UVIT, SCALED_LINEAR, sampler="ddim:2")
    bundle = export(
        small_checkpoint(TINY, seed=3),
        folder / "bundle",
        ExportOptions(),
        transformer=TransformerExport(checkpoint=transformer, class_names=None),
    )
    pictures = write_pictures(folder / "pictures", COUNT, side=SIZE)
    whole = (pictures / "class-0" / "0000.png").read_bytes()
    (pictures / "class-0" / "damaged.png").write_bytes(whole[: len(whole) // 2])
    return Inputs(bundle=bundle, folder=pictures)


def arguments(inputs: Inputs, *more: str | Path) -> list[str | Path]:
    data = ("--data", inputs.folder, "--size", str(SIZE), "--batch-size", "3")
    return ["evaluate", "reconstruction", inputs.bundle, *data, *RANDOM, "--json", *more]


def figures(content: dict) -> dict[str, float]:
    """The numbers by name; those of a network with random weights are trials, where no value stands."""
    found: dict[str, float] = {}
    for figure in content["figures"]:
        is_trial = figure["note"].startswith("random weights")
        assert (figure["value" if is_trial else "trial"]) is None
        found[figure["name"]] = figure["trial" if is_trial else "value"]
    return found


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory) -> dict:
    """The JSON of an evaluation that nothing stopped."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    return json.loads(dcae(*arguments(inputs, "--out", out), **ONE_THREAD).stdout)


@pytest.fixture(scope="module")
def pairs(inputs) -> tuple[np.ndarray, np.ndarray]:
    """The crops and their reconstructions, one at a time."""
    names = sorted(path for path in inputs.folder.rglob("*.png") if path.name != "damaged.png")
    crops = [adm_crop(read_picture(name), SIZE) for name in names]
    autoencoder = Autoencoder.open(inputs.bundle, threads=1)
    back = [autoencoder.decode(autoencoder.encode(crop))[0] for crop in crops]
    return np.stack(crops), np.stack(back)


def features(images: np.ndarray) -> np.ndarray:
    return InceptionFeatures(inception_network("random:0"), device=torch.device("cpu"))(images)


def test_figures_are_those_of_a_second_computation(undisturbed, pairs):
    found = figures(undisturbed)
    psnr = [peak_signal_noise_ratio(*pair) for pair in zip(*pairs, strict=True)]
    assert found["PSNR"] == pytest.approx(np.mean(psnr), rel=OTHER_BATCHES)
    assert undisturbed["distributions"]["PSNR, dB"] == pytest.approx(psnr, rel=OTHER_BATCHES)
    expected = fid_by_scipy(features(pairs[1]), features(pairs[0]))
    assert found["rFID"] == pytest.approx(expected, rel=OTHER_BATCHES)
    assert found["LPIPS"] > 0
    assert -1 < found["SSIM"] < 1


def test_the_result_says_what_it_is_of(undisturbed, inputs):
    assert undisturbed["kind"] == "reconstruction"
    assert undisturbed["subject"] == str(inputs.bundle)
    settings = undisturbed["settings"]
    assert settings["pictures"] == f"{COUNT + 1} of {COUNT + 1} in {inputs.folder}"
    assert settings["left out"] == "1 unreadable: class-0/damaged.png"
    assert settings["Inception"] == settings["AlexNet"] == "random:0"
    notes = {figure["name"]: figure["note"] for figure in undisturbed["figures"]}
    assert notes["rFID"].startswith("random weights, so no rFID")
    assert {figure["count"] for figure in undisturbed["figures"]} == {COUNT}
    # Eight places, and at one of them there is the damaged picture or not.
    sheets = [Path(path) for path in undisturbed["pictures"]]
    assert len(sheets) in {7, 8}
    assert all(read_picture(sheet).shape[1] > 3 * SIZE for sheet in sheets)


def test_a_metric_without_weights_is_left_out_and_named(inputs):
    plain = ("--data", inputs.folder / "class-0", "--size", str(SIZE), "--count", "6")
    result = dcae("evaluate", "reconstruction", inputs.bundle, *plain)
    rows = {line.split("  ")[0].split(",")[0]: line for line in result.stdout.splitlines()}
    assert "--inception names its weights" in rows["rFID"]
    assert "--alexnet names its weights" in rows["LPIPS"]
    assert float(rows["PSNR"].split()[2]) > 0
    assert "--count: 5 of 6 measured: 1 cannot be read" in result.stderr


def start(*words: str | Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _KEEPING, *map(str, words)],
        env=os.environ | ONE_THREAD | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_once_kept(process: subprocess.Popen[str], kept: Path, number: int) -> None:
    """Send a signal as soon as the process has kept how far it is."""
    until = time.monotonic() + _LONGEST_S
    while not kept.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(number)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_evaluation_goes_on_to_the_same_json(inputs, undisturbed, tmp_path, number):
    out = tmp_path / "out"
    with start(*arguments(inputs, "--out", out)) as process:
        kill_once_kept(process, out / "progress-0-of-1.npz", number)
        err = process.communicate(timeout=_LONGEST_S)[1]
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "the same command goes on from there" in err.splitlines()[-1]
    else:
        assert process.returncode == -signal.SIGKILL
    resumed = json.loads(dcae(*arguments(inputs, "--out", out), **ONE_THREAD).stdout)
    resumed["pictures"] = [Path(path).name for path in resumed["pictures"]]
    expected = {**undisturbed, "pictures": [Path(p).name for p in undisturbed["pictures"]]}
    assert resumed == expected


def test_what_is_kept_of_another_evaluation_is_refused_until_a_restart(inputs, tmp_path):
    words = ("--data", inputs.folder, "--count", "2", "--out", tmp_path / "out")
    command = ("evaluate", "reconstruction", inputs.bundle, *words)
    dcae(*command, "--size", "64")
    other = dcae(*command, "--size", "32", status=3)
    assert 'crop is "ADM\'s, 32 px", and was "ADM\'s, 64 px"' in other.stderr
    dcae(*command, "--size", "32", "--restart")


def test_two_processes_find_what_one_does(inputs, undisturbed, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    words = arguments(inputs, "--out", tmp_path / "out")
    processes = [start(*words, **place, RANK=str(rank)) for rank in range(2)]
    try:
        (out, err), (silent, _) = (process.communicate(timeout=_LONGEST_S) for process in processes)
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], err
    assert silent == ""
    content = json.loads(out)
    assert figures(content) == pytest.approx(figures(undisturbed), rel=OTHER_BATCHES)
    psnr = "PSNR, dB"
    assert content["distributions"][psnr] == pytest.approx(
        undisturbed["distributions"][psnr], rel=OTHER_BATCHES
    )
    assert len(content["pictures"]) == len(undisturbed["pictures"])
    assert content["settings"] == undisturbed["settings"]


@pytest.fixture(scope="module")
def statistics(inputs, tmp_path_factory) -> Path:
    """Statistics of the folder."""
    out = tmp_path_factory.mktemp("statistics") / "stats.npz"
    words = ("--out", out, "--size", str(SIZE), "--inception", "random:0", "--batch-size", "4")
    result = dcae("evaluate", "statistics", inputs.folder, *words)
    assert result.stdout == f"{out}: statistics of {COUNT} pictures\n"
    assert "left out: 1 unreadable" in result.stderr
    return out


def test_statistics_are_numpys_of_the_same_features(statistics, pairs):
    expected = features(pairs[0]).astype(np.float64)
    with np.load(statistics, allow_pickle=False) as found:
        np.testing.assert_allclose(found["mu"], expected.mean(axis=0), rtol=OTHER_BATCHES)
        covariance = np.cov(expected, rowvar=False)
        bound = OTHER_BATCHES * np.abs(covariance).max()
        np.testing.assert_allclose(found["sigma"], covariance, rtol=0, atol=bound)
        assert found["count"] == COUNT
        assert json.loads(str(found["settings"]))["Inception"] == "random:0"
    assert sorted(path.name for path in statistics.parent.iterdir()) == ["stats.npz"]


def generation(
    inputs: Inputs, statistics: Path, *more: str | Path, inception: str = "random:0"
) -> list[str | Path]:
    words = ("--reference", statistics, "--inception", inception, "--count", str(COUNT))
    return ["evaluate", "generation", inputs.bundle, *words, *more]


def test_fid_of_generated_pictures_is_that_of_a_second_computation(
    inputs, statistics, pairs, tmp_path
):
    page = tmp_path / "page.html"
    words = ("--seed", "5", "--out", tmp_path / "out", "--html", page, "--json")
    content = json.loads(dcae(*generation(inputs, statistics, *words)).stdout)
    pipeline = Pipeline.open(inputs.bundle, threads=1)
    images = pipeline.generate(draw_labels(COUNT, num_classes=10), seed=5)
    expected = fid_by_scipy(features(images), features(pairs[0]))
    (fid,) = content["figures"]
    assert fid["value"] is None
    assert fid["trial"] == pytest.approx(expected, rel=OTHER_BATCHES)
    assert (fid["name"], fid["count"]) == ("FID", COUNT)
    assert fid["note"].endswith("the reference's crops (ADM's, 64 px) are not of 12 x 8 px")
    settings = content["settings"]
    assert (settings["sampler"], settings["guidance"]) == ("ddim:2", "1.5")
    assert settings["reference"].startswith(f"{statistics}, {COUNT} pictures; ")
    (sheet,) = content["pictures"]
    height, width = (side * TINY.downsample for side in GRID)
    shown = read_picture(Path(sheet))
    assert np.array_equal(shown[:height, :width], images[0])
    assert "<svg" in page.read_text() or "data:image/png;base64," in page.read_text()


def test_a_reference_of_another_network_is_refused(inputs, statistics):
    result = dcae(*generation(inputs, statistics, inception="random:1"), status=2)
    assert "made with Inception's weights random:0, not random:1" in result.stderr


def test_a_finished_generation_is_compared_with_another_reference_without_generating(
    inputs, statistics, tmp_path
):
    out = ("--out", tmp_path / "out", "--json")
    first = json.loads(dcae(*generation(inputs, statistics, *out)).stdout)
    with np.load(statistics) as found:
        np.savez(tmp_path / "other.npz", mu=found["mu"] + 1, sigma=found["sigma"])
    before = (tmp_path / "out" / "pictures" / "00000000.png").stat().st_mtime_ns
    second = json.loads(dcae(*generation(inputs, tmp_path / "other.npz", *out)).stdout)
    assert (tmp_path / "out" / "pictures" / "00000000.png").stat().st_mtime_ns == before
    assert "the reference's network is not known" in second["figures"][0]["note"]
    assert second["figures"][0]["trial"] > first["figures"][0]["trial"] + 1


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--size", "63"), 2, "sides are multiples of 2; the nearest is 64"),
        (("--size", "16", "--alexnet", "random:0"), 2, "SSIM needs 11 pixels a side and LPIPS 31"),
        (("--inception", "none.pth"), 3, "none.pth: no such file"),
        (("--inception", "random:x"), 2, "as in random:0"),
        (("--html", "none/page.html"), 3, "there is no folder none"),
    ],
)
def test_what_cannot_be_measured_is_one_line(inputs, words, status, message):
    data = ("--data", inputs.folder)
    result = dcae("evaluate", "reconstruction", inputs.bundle, *data, *words, status=status)
    assert message in result.stderr.splitlines()[-1]


def test_sheets_are_never_put_among_the_pictures(inputs):
    words = ("--data", inputs.folder, "--out", inputs.folder / "eval")
    result = dcae("evaluate", "reconstruction", inputs.bundle, *words, status=2)
    assert "lies in" in result.stderr
    assert not (inputs.folder / "eval").exists()


def test_a_bundle_that_cannot_generate_says_so(statistics, inputs, tmp_path):
    plain = export(small_checkpoint(TINY), tmp_path / "plain", ExportOptions())
    result = dcae(*generation(Inputs(plain, inputs.folder), statistics), status=3)
    assert "holds no transformer" in result.stderr


def test_a_static_bundle_reconstructs_a_batch_that_is_not_full(inputs, tmp_path):
    static = export(
        small_checkpoint(TINY, seed=3), tmp_path / "static", ExportOptions(size=(SIZE, SIZE))
    )
    words = ("--data", inputs.folder, "--size", str(SIZE), "--count", "3", "--json")
    found = [
        figures(json.loads(dcae("evaluate", "reconstruction", bundle, *words).stdout))
        for bundle in (static, inputs.bundle)
    ]
    assert found[0]["PSNR"] == pytest.approx(found[1]["PSNR"], rel=OTHER_BATCHES)
