import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from autoencoders import shrink, small_checkpoint
from latent_folders import empty_contents
from picture_folders import fill

from dcae_export.models import source
from dcae_export.models.presets import PRESETS
from dcae_export.pictures.skipped import Skip, Skipped, SkipReason

CHECKPOINT = small_checkpoint(shrink(PRESETS["dc-ae-f32c32-in-1.0"].config, depth=1))


def encoded(*, num_new: int = 6, left_out: bool = False, random_weights: bool = False):
    skipped = Skipped()
    if left_out:
        skipped.add([Skip.of("a/1.png", SkipReason.UNREADABLE, "cut\noff")])
    contents = empty_contents(6)
    autoencoder = contents.autoencoder.model_copy(update={"random_weights": random_weights})
    return SimpleNamespace(
        contents=contents.model_copy(update={"count": 5, "autoencoder": autoencoder}),
        num_new=num_new,
        num_skipped=len(skipped),
        skipped=skipped,
    )


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch):
    """The encodings that were asked for; ``result`` is what they give, ``error`` what they end with."""
    made = SimpleNamespace(encodings=[], result=encoded(), error=None, resolved=[])

    def encode_latents(checkpoint, pictures, target, settings, *, on_progress):
        made.encodings.append(
            SimpleNamespace(
                checkpoint=checkpoint, pictures=pictures, target=target, settings=settings
            )
        )
        on_progress(0, len(pictures))
        if made.error is not None:
            raise made.error
        return made.result

    def resolve(weights, *, variant, option):
        assert option == "--autoencoder"
        made.resolved.append((weights, variant))
        return CHECKPOINT

    module = SimpleNamespace(encode_latents=encode_latents, EncodingSettings=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "dcae_export.training.latents.encode", module)
    monkeypatch.setattr(source, "resolve", resolve)
    return made


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return fill(tmp_path / "pictures", range(6))


@pytest.fixture
def latents(dcae, pictures: Path, tmp_path: Path):
    """Encode the pictures, with more arguments."""

    def call(*arguments: str, weights: tuple[str, ...] = ("--variant", "f32")):
        where = ("--data", pictures, "--out", tmp_path / "out", "--size", "64")
        return dcae("latents", *weights, *where, *arguments)

    return call


def test_what_is_there_now_is_one_line(latents, calls, tmp_path: Path):
    result = latents()
    assert (result.status, result.err) == (0, "")
    assert result.out == f"{tmp_path / 'out'}: 5 latents of 3x2x2, 2 classes\n"


def test_the_encoding_gets_what_the_command_line_says(latents, calls, pictures: Path):
    options = ("--seed", "3", "--batch-size", "4", "--workers", "0", "--flat", "--min-side", "8")
    assert latents(*options, weights=("--autoencoder", "runs/f64")).status == 0
    (encoding,) = calls.encodings
    assert vars(encoding.settings) == {"size": 64, "seed": 3, "batch_size": 4, "workers": 0}
    assert encoding.pictures.folder == pictures
    assert (encoding.pictures.classes, encoding.pictures.min_side) == (None, 8)
    assert calls.resolved == [("runs/f64", None)]


def test_class_folders_are_labels_unless_told_otherwise(latents, calls):
    assert latents().status == 0
    assert calls.encodings[0].pictures.classes == ("class-0", "class-1")
    assert calls.resolved == [(None, "f32")]


def test_a_folder_that_was_complete_is_told_to_be(latents, calls):
    calls.result = encoded(num_new=0)
    assert ": was complete: 5 latents of" in latents().out


def test_what_was_left_out_and_random_weights_are_notes(latents, calls, tmp_path: Path):
    calls.result = encoded(left_out=True, random_weights=True)
    left_out, random_weights = latents().err.splitlines()
    listing = tmp_path / "out" / "skipped.csv"
    assert left_out == (
        rf"dcae: left out: 1 pictures; the first, a/1.png: cut\noff; {listing} lists them"
    )
    assert random_weights == (
        "dcae: these are latents of random weights: nothing can be learned from them"
    )


def test_the_json_says_everything(latents, calls, tmp_path: Path):
    calls.result = encoded(left_out=True)
    assert json.loads(latents("--json").out) == {
        "out": str(tmp_path / "out"),
        "latents": 5,
        "shape": [3, 2, 2],
        "classes": 2,
        "shards": 0,
        "scaling_factor": 0.5,
        "sampled": False,
        "random_weights": False,
        "num_new": 6,
        "num_skipped": 1,
        "skipped": [{"name": "a/1.png", "reason": "unreadable", "detail": r"cut\noff"}],
    }


def test_an_interrupt_says_how_to_go_on(latents, calls, tmp_path: Path):
    calls.error = KeyboardInterrupt()
    result = latents()
    assert result.status == 130
    assert result.err == (
        f"dcae: error: {tmp_path / 'out'}: interrupted; the same command goes on\n"
    )


def test_a_process_that_is_not_the_main_one_prints_nothing(latents, calls):
    calls.result = None
    assert latents() == (0, "", "")


def test_an_autoencoder_has_to_be_named(latents, calls):
    result = latents(weights=())
    assert result.status == 2
    assert "say which autoencoder: --autoencoder, or --variant" in result.err
    assert not calls.encodings


def test_a_target_among_the_pictures_is_refused(dcae, calls, pictures: Path):
    for out in (pictures, pictures / "latents"):
        result = dcae(
            "latents", "--variant", "f32", "--data", pictures, "--out", out, "--size", "64"
        )
        assert result.status == 2
        assert "lies among the pictures; choose another --out" in result.err


@pytest.mark.parametrize("wrong", [("--size", "0"), ("--batch-size", "0"), ("--seed", "-1")])
def test_a_value_out_of_range_is_a_usage_error(latents, calls, wrong: tuple[str, str]):
    assert latents(*wrong).status == 2


def test_a_folder_that_is_not_there_is_one_line(dcae, calls, tmp_path: Path):
    where = ("--data", tmp_path / "nowhere", "--out", tmp_path / "out", "--size", "64")
    result = dcae("latents", "--variant", "f32", *where)
    assert result.status == 3
    assert result.err.count("\n") == 1
    assert "nowhere: cannot be read: No such file" in result.err
