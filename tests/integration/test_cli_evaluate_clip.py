"""``dcae evaluate clip`` as a user runs it, on a tiny random CLIP."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluated_pictures import write_pictures
from program import dcae
from safetensors.torch import load_file, save_file
from tiny_clip import write_tiny_clip

from dcae_export.evaluation.clip_model import CLIP
from dcae_export.pictures.picture_file import read_picture

pytestmark = pytest.mark.integration

COUNT = 5
# Batches are cut elsewhere, so float32 sums are taken in another order.
OTHER_BATCHES = 1e-4


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return write_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny-clip")


@pytest.fixture
def folder(tmp_path) -> Path:
    """Pictures with captions beside them."""
    folder = write_pictures(tmp_path / "pictures", COUNT, side=48)
    for number, picture in enumerate(sorted(folder.rglob("*.png"))):
        picture.with_suffix(".txt").write_text(f"picture {number} of a cat\n")
    return folder


def scores_one_by_one(clip: Path, folder: Path) -> list[float]:
    loaded = CLIP.load(clip, device=torch.device("cpu"))
    return [
        loaded.scores(
            [loaded.prepare(read_picture(picture))], [picture.with_suffix(".txt").read_text()]
        )[0]
        for picture in sorted(folder.rglob("*.png"))
    ]


def test_the_score_is_the_mean_over_pictures_and_their_captions(clip, folder):
    words = ("--clip", clip, "--batch-size", "2", "--json")
    result = dcae("evaluate", "clip", folder, *words)
    assert result.stderr == ""
    content = json.loads(result.stdout)
    expected = scores_one_by_one(clip, folder)
    assert np.std(expected) > 0.1
    found = content["distributions"]["CLIP score"]
    assert found == pytest.approx(expected, rel=OTHER_BATCHES)
    (figure,) = content["figures"]
    assert figure["value"] == pytest.approx(np.mean(expected), rel=OTHER_BATCHES)
    assert content["settings"]["CLIP"].startswith("tiny-clip, sha256 ")


def test_captions_may_stand_in_one_file_and_change_the_score(clip, folder, tmp_path):
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.png"))]
    captions = dict.fromkeys(names, "something else altogether")
    (folder / "captions.json").write_text(json.dumps(captions))
    page = tmp_path / "page.html"
    words = ("--clip", clip, "--out", tmp_path / "out", "--html", page)
    result = dcae("evaluate", "clip", folder, *words)
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("CLIP score")]
    assert float(row.split()[2]) != pytest.approx(
        np.mean(scores_one_by_one(clip, folder)), rel=0.01
    )
    assert page.read_text().startswith("<!")


def test_a_picture_without_a_caption_is_named_before_the_work(clip, folder):
    missing = next(iter(sorted(folder.rglob("*.txt"))))
    missing.unlink()
    result = dcae("evaluate", "clip", folder, "--clip", clip, status=3)
    assert missing.name in result.stderr


def damage(copy: Path, what: str) -> None:
    """Make a folder of a CLIP one that cannot be used."""
    weights = copy / "model.safetensors"
    if what == "weight":
        tensors = load_file(weights)
        del tensors["text_projection.weight"]
        save_file(tensors, weights, metadata={"format": "pt"})
    elif what == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif what == "pickle":
        torch.save(load_file(weights), copy / "pytorch_model.bin")
        weights.unlink()
    else:
        (copy / what).unlink()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("weight", "text_projection.weight"),
        ("truncated", "cannot be loaded as CLIP"),
        ("pickle", "holds no model.safetensors"),
        ("config.json", "cannot be loaded as CLIP"),
        ("vocab.json", "cannot be loaded as CLIP"),
    ],
)
def test_a_clip_that_is_not_whole_is_refused_in_one_line(clip, folder, tmp_path, what, message):
    copy = shutil.copytree(clip, tmp_path / "copy")
    damage(copy, what)
    result = dcae("evaluate", "clip", folder, "--clip", copy, status=3)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
