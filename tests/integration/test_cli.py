"""The program as a user runs it, from a small checkpoint to pictures and verdicts."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from autoencoders import shrink, small_checkpoint
from bundle_factory import replace_file
from hub_server import serve
from program import dcae, dcae_without_torch
from skimage import data

from dcae_export.models.key_map import Layout
from dcae_export.models.presets import PRESETS
from dcae_export.models.weights import save_checkpoint
from dcae_export.pictures.picture_file import read_picture, write_picture

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("program")


@pytest.fixture(scope="module")
def checkpoint(folder):
    """Small weights of f32's form, in a folder as diffusers writes it."""
    small = small_checkpoint(shrink(PRESETS["dc-ae-f32c32-in-1.0"].config))
    save_checkpoint(small, folder / "weights", layout=Layout.DIFFUSERS)
    return folder / "weights"


@pytest.fixture(scope="module")
def bundle(folder, checkpoint):
    """A bundle for pictures of any size."""
    result = dcae("export", "--weights", checkpoint, "--out", folder / "bundle")
    assert f"next: dcae reconstruct {folder / 'bundle'}" in result.stdout
    return folder / "bundle"


@pytest.fixture(scope="module")
def static_bundle(folder, checkpoint):
    """A bundle for pictures of one size, uint8 in and out, from weights of the hub."""
    target = folder / "static"
    options = ("--size", "192x128", "--image-io", "--single-file", "--simplifier", "none")
    with serve(checkpoint, "org/weights") as endpoint:
        dcae(
            *("export", "--weights", "org/weights", "--out", target, *options),
            HF_ENDPOINT=endpoint,
            DCAE_CACHE=str(folder / "cache"),
        )
    return target


@pytest.fixture(scope="module")
def photo(folder):
    """A photograph whose sides are no multiples of anything."""
    write_picture(folder / "photo.png", np.ascontiguousarray(data.astronaut()[:150, 100:301]))
    return folder / "photo.png"


def test_a_photograph_is_reconstructed_without_torch(bundle, photo, tmp_path):
    back, sheet = tmp_path / "back.png", tmp_path / "sheet.png"
    result = dcae_without_torch("reconstruct", bundle, photo, "--out", back, "--sheet", sheet)
    assert "201x150, PSNR " in result.stdout
    assert result.stderr == ""
    assert read_picture(back).shape == read_picture(photo).shape
    assert sheet.is_file()


def test_encoding_and_decoding_give_what_reconstructing_gives(bundle, photo, tmp_path):
    whole, latent, parts = tmp_path / "a.png", tmp_path / "latent.npy", tmp_path / "b.png"
    dcae("reconstruct", bundle, photo, "--out", whole, "--fit", "crop")
    dcae("encode", bundle, photo, "--out", latent, "--fit", "crop")
    dcae("decode", bundle, latent, "--out", parts)
    assert np.load(latent).shape == (1, 2, 4, 6)
    assert np.array_equal(read_picture(whole), read_picture(parts))


def test_a_folder_gets_scores_and_sheets(bundle, photo, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    write_picture(pictures / "one.jpg", read_picture(photo))
    write_picture(pictures / "two.webp", read_picture(photo)[:64, :64])
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = dcae("reconstruct", bundle, pictures, "--out", tmp_path / "out", "--json")
    content = json.loads(result.stdout)
    assert [Path(one["out"]).name for one in content["pictures"]] == ["one.png", "two.png"]
    assert len(content["unreadable"]) == 1
    assert sorted(path.name for path in (tmp_path / "out" / "sheets").iterdir()) == [
        "one.png",
        "two.png",
    ]


def test_the_golden_arrays_come_out_on_three_independent_runtimes(bundle):
    result = dcae("parity", bundle, "--against", "openvino", "--against", "reference", "--json")
    content = json.loads(result.stdout)
    assert content["passed"] is True
    assert {one["graph"] for one in content["measurements"]} == {"encoder", "decoder"}
    assert len({one["runtime"] for one in content["measurements"]}) == 3


def test_another_golden_array_is_missed(bundle, copied):
    name = "golden/decoder-image.npy"
    golden = np.load(copied / name)
    golden.flat[0] += 1
    np.save(copied / "changed.npy", golden)
    replace_file(copied, name, (copied / "changed.npy").read_bytes())
    result = dcae("parity", copied, status=7)
    assert "MISSED" in result.stdout
    assert "1 of 2 missed; worst: decoder" in result.stderr


@pytest.fixture
def copied(bundle, tmp_path):
    """A copy of the bundle, to damage."""
    target = tmp_path / "copied"
    for path in (path for path in bundle.rglob("*") if path.is_file()):
        destination = target / path.relative_to(bundle)
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(path.read_bytes())
    return target


def test_a_flipped_byte_stops_every_command_that_uses_it(copied, photo, tmp_path):
    graph = copied / "decoder.onnx"
    content = bytearray(graph.read_bytes())
    content[-1] ^= 1
    graph.write_bytes(content)
    back = tmp_path / "back.png"
    for arguments in (
        ("verify", copied),
        ("parity", copied),
        ("reconstruct", copied, photo, "--out", back),
    ):
        assert "decoder.onnx: sha256 differs" in dcae(*arguments, status=4).stderr
    assert not back.exists()


def test_skipping_the_hashes_is_said(bundle, photo, tmp_path):
    result = dcae("reconstruct", bundle, photo, "--out", tmp_path / "back.png", "--no-verify")
    assert "not checked" in result.stderr


def test_a_bundle_is_verified_and_inspected(bundle):
    assert "all as listed" in dcae("verify", bundle).stdout
    content = json.loads(dcae("inspect", bundle, "--json").stdout)
    assert content["manifest"]["latent"]["downsample"] == 32
    assert content["providers"]


def test_a_static_bundle_with_pictures_inside_takes_its_size_only(static_bundle, photo, tmp_path):
    dcae("reconstruct", static_bundle, photo, "--out", tmp_path / "a.png", "--fit", "crop")
    assert read_picture(tmp_path / "a.png").shape == (128, 192, 3)
    dcae("reconstruct", static_bundle, photo, "--out", tmp_path / "b.png", status=2)
    assert not (tmp_path / "b.png").exists()


def test_a_repository_of_the_hub_is_a_bundle(bundle, photo, tmp_path):
    with serve(bundle, "org/bundle") as endpoint:
        environment = {"HF_ENDPOINT": endpoint, "DCAE_CACHE": str(tmp_path / "cache")}
        dcae("reconstruct", "org/bundle", photo, "--out", tmp_path / "back.png", **environment)
        result = dcae("verify", "org/nothing", status=3, **environment)
    assert "no such folder here: org/nothing; and of the hub: org/nothing: no such" in result.stderr
    fetched = tmp_path / "cache" / "hub" / "org--bundle"
    assert (fetched / "manifest.json").read_bytes() == (bundle / "manifest.json").read_bytes()
    assert not any(path.is_symlink() for path in fetched.rglob("*"))


def test_a_bundle_of_a_repositorys_weights_names_the_repository(static_bundle):
    content = json.loads(dcae("inspect", static_bundle, "--json").stdout)
    assert content["manifest"]["model"]["weights"] == "org/weights"


def test_a_hub_out_of_reach_names_the_ways_on(tmp_path):
    result = dcae(
        *("export", "--variant", "f64", "--out", tmp_path / "b"),
        status=3,
        HF_ENDPOINT="http://127.0.0.1:9",
        DCAE_CACHE=str(tmp_path / "cache"),
    )
    assert "mit-han-lab/dc-ae-f64c128-in-1.0" in result.stderr
    assert all(way in result.stderr for way in ("--weights PATH", "random:SEED", "HF_ENDPOINT"))
    assert not (tmp_path / "b").exists()


def test_a_provider_that_is_not_there_is_never_replaced(bundle, photo, tmp_path):
    listed = json.loads(dcae("inspect", bundle, "--json").stdout)["providers"]
    if "TensorrtExecutionProvider" in listed:
        pytest.skip("this ONNX Runtime has TensorRT")
    back = tmp_path / "back.png"
    result = dcae(
        *("reconstruct", bundle, photo, "--out", back, "--provider", "tensorrt"), status=5
    )
    assert "TensorrtExecutionProvider" in result.stderr
    assert not back.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_an_interrupted_export_leaves_nothing(checkpoint, tmp_path):
    target = tmp_path / "bundle"
    process = subprocess.Popen(
        [sys.executable, "-m", "dcae_export", "export", "--weights", checkpoint, "--out", target],
        stderr=subprocess.PIPE,
        text=True,
        # A job in a shell's background ignores the signal, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".bundle.staging-*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip().endswith("dcae: interrupted")
    assert not target.exists()
    assert not list(tmp_path.glob(".bundle.staging-*"))
