import dataclasses
import sys
from pathlib import Path

import pytest
from autoencoders import shrink, small_checkpoint
from bundle_factory import write_tiny_bundle
from transformers_factory import SCALED_LINEAR, TINY_UVIT, tiny_transformer

from dcae_export.cli.commands.export import command
from dcae_export.cli.failures import run
from dcae_export.export import exporter
from dcae_export.extras import install_command
from dcae_export.models import source
from dcae_export.models.latent_source import LatentSource
from dcae_export.models.presets import PRESETS
from dcae_export.models.weights import AutoencoderCheckpoint

SMALL = small_checkpoint(shrink(PRESETS["dc-ae-f64c128-in-1.0"].config))


def named(preset: str) -> AutoencoderCheckpoint:
    return AutoencoderCheckpoint(
        config=SMALL.config,
        preset=preset,
        state=SMALL.state,
        source="a.safetensors",
        sha256=SMALL.sha256,
        licence=None,
    )


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """What would have been resolved and exported; a tiny bundle stands for the result."""
    made = {
        "resolved": [],
        "exported": [],
        "transformers": [],
        "checkpoint": named("dc-ae-f64c128-in-1.0"),
    }

    def resolve(weights, *, variant):
        made["resolved"].append((weights, variant))
        return made["checkpoint"]

    def export(checkpoint, target, options, *, transformer, force, wait, progress):
        made["transformers"].append(transformer)
        progress("encoder: tracing")
        made["exported"].append((checkpoint, target, options, force, wait))
        return write_tiny_bundle(target, force=force)

    monkeypatch.setattr(source, "resolve", resolve)
    monkeypatch.setattr(exporter, "export", export)
    monkeypatch.chdir(tmp_path)
    return made


def test_a_variant_is_exported_into_a_folder_of_its_name(dcae, calls):
    result = dcae("export", "--variant", "f64")
    assert result.status == 0
    assert calls["resolved"] == [(None, "f64")]
    ((_, target, options, force, wait),) = calls["exported"]
    assert target == Path("dc-ae-f64c128-in-1.0")
    assert (options.target, options.size, options.batch, options.image_io) == (
        "generic",
        None,
        None,
        False,
    )
    assert (force, wait) == (False, False)


def test_the_last_line_says_where_how_large_and_what_to_type_next(dcae, calls):
    result = dcae("export", "--variant", "f64", "--out", "here")
    assert result.out.count("\n") == 1
    assert result.out.startswith("here: ")
    assert "kB" in result.out
    assert "next: dcae reconstruct here photo.jpg --out back.png" in result.out


def test_every_option_reaches_the_exporter(dcae, calls):
    result = dcae(
        *("export", "--weights", "a.safetensors", "--out", "b", "--target", "tensorrt"),
        *("--precision", "fp16"),
        *("--size", "1024x512", "--batch", "3", "--image-io", "--simplifier", "none"),
        *("--single-file", "--force", "--wait"),
    )
    assert result.status == 0
    ((_, _, options, force, wait),) = calls["exported"]
    assert (options.target, options.precision) == ("tensorrt", "fp16")
    assert options.size == (512, 1024)
    assert (options.batch, options.image_io) == (3, True)
    assert (options.simplifier, options.single_file) == ("none", True)
    assert (force, wait) == (True, True)


def test_a_precision_that_the_target_cannot_have_is_refused_before_anything_is_fetched(dcae, calls):
    result = dcae("export", "--variant", "f64", "--target", "cuda", "--precision", "bf16")
    assert result.status == 2
    assert "DepthToSpace" in result.err
    assert "--precision fp16" in result.err
    assert not calls["resolved"]


def test_dcae_export_is_the_command(capsys, calls):
    assert run(command, prog_name="dcae-export", args=["--variant", "f64"]) == 0
    assert "next: " in capsys.readouterr().out


def test_the_command_line_wins_over_the_recipe(dcae, calls, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("variant: f64\nout: there\nsize: 512\nimage_io: true\ntarget: web\n")
    result = dcae("export", "--recipe", recipe, "--size", "1024", "--no-image-io", "--out", "here")
    assert result.status == 0
    ((_, target, options, _, _),) = calls["exported"]
    assert target == Path("here")
    assert options.target == "web"
    assert options.size == (1024, 1024)
    assert not options.image_io


def test_a_shipped_recipe_goes_by_its_name(dcae, calls):
    assert dcae("export", "--recipe", "f64-2048").status == 0
    ((_, _, options, _, _),) = calls["exported"]
    assert options.size == (2048, 2048)


def test_a_fault_of_the_recipe_names_file_and_key(dcae, calls, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("variant: f64\nopset: 18\n")
    result = dcae("export", "--recipe", recipe)
    assert result.status == 3
    assert f"{recipe}: opset: unknown key" in result.err
    assert not calls["resolved"]


def test_an_unknown_variant_names_the_nearest(dcae, calls):
    result = dcae("export", "--variant", "f46")
    assert result.status == 2
    assert "unknown variant 'f46'; did you mean f64" in result.err
    assert not calls["resolved"]


def test_a_variant_like_none_lists_the_known(dcae, calls):
    result = dcae("export", "--variant", "unknown")
    assert result.status == 2
    assert "'unknown'" in result.err
    assert all(name in result.err for name in ("f32", "f64", "f128", *PRESETS))
    assert not calls["resolved"]


@pytest.mark.parametrize(("size", "nearest"), [("500", ("448", "512")), ("1024x65", ("64", "128"))])
def test_a_size_that_is_no_multiple_names_the_nearest(dcae, calls, size, nearest):
    result = dcae("export", "--variant", "f64", "--size", size)
    assert result.status == 2
    assert "multiple of 64" in result.err
    assert all(value in result.err for value in nearest)
    assert not calls["resolved"]


@pytest.mark.parametrize("size", ["0", "-64", "64x", "64x64x64", "1e3", "big", "0512"])
def test_a_malformed_size_is_a_usage_error(dcae, calls, size):
    result = dcae("export", "--variant", "f64", f"--size={size}")
    assert result.status == 2
    assert "WIDTHxHEIGHT" in result.err


def test_a_batch_without_a_size_is_a_usage_error(dcae, calls):
    result = dcae("export", "--variant", "f64", "--batch", "2")
    assert result.status == 2
    assert "--size" in result.err
    assert not calls["resolved"]


def test_an_existing_target_is_an_error_before_weights_are_fetched(dcae, calls, tmp_path):
    (tmp_path / "dc-ae-f64c128-in-1.0").mkdir()
    result = dcae("export", "--variant", "f64")
    assert result.status == 3
    assert "--force" in result.err
    assert not calls["resolved"]


def test_weights_of_no_published_variant_need_a_name_for_the_bundle(dcae, calls):
    calls["checkpoint"] = SMALL
    result = dcae("export", "--weights", "a.safetensors")
    assert result.status == 2
    assert "--out" in result.err
    assert dcae("export", "--weights", "a.safetensors", "--out", "mine").status == 0


def test_a_missing_diffusers_is_one_line_with_the_way_to_install_it(dcae, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    target = tmp_path / "bundle"
    result = dcae("export", "--variant", "sd-f8", "--weights", "random:0", "--out", target)
    assert result.status == 2
    assert result.err == (f"dcae: error: diffusers is not installed; {install_command('export')}\n")
    assert not target.exists()


@pytest.fixture
def training_run(tmp_path):
    """A training run's folder, as far as its name goes."""
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("variant: f64")
    return folder


@pytest.mark.parametrize("variant", [(), ("--variant", "f64")])
def test_a_training_runs_bundle_is_named_after_it(dcae, calls, training_run, variant):
    calls["checkpoint"] = SMALL
    assert dcae("export", "--weights", training_run, *variant).status == 0
    ((_, target, _, _, _),) = calls["exported"]
    assert target == Path("mine")
    result = dcae("export", "--weights", training_run, *variant)
    assert result.status == 3
    assert "mine: exists; --force replaces it" in result.err
    assert len(calls["resolved"]) == 1


def test_a_name_for_the_bundle_goes_before_that_of_the_run(dcae, calls, training_run):
    calls["checkpoint"] = SMALL
    assert dcae("export", "--weights", training_run, "--out", "here").status == 0
    ((_, target, _, _, _),) = calls["exported"]
    assert target == Path("here")


def test_random_weights_are_called_so(dcae, calls):
    calls["checkpoint"] = SMALL
    assert "noise" in dcae("export", "--weights", "random:0", "--out", "mine").err


def test_neither_weights_nor_variant_is_a_usage_error(dcae):
    result = dcae("export")
    assert result.status == 2
    assert "--weights" in result.err


TRAINED = tiny_transformer(TINY_UVIT, SCALED_LINEAR, sampler="ddim:3")


@pytest.fixture
def transformer_run(calls, monkeypatch, tmp_path):
    """A transformer's run; ``calls["transformer"]`` is what it holds, ``calls["asked"]`` how it was asked for."""
    folder = tmp_path / "runs" / "uvit"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("transformer: uvit-s")
    calls["asked"] = []
    calls["transformer"] = trained_on("custom")

    def resolve_transformer(weights, *, name, autoencoder, option):
        assert option == "--transformer-weights"
        calls["asked"].append((weights, name, autoencoder))
        return calls["transformer"]

    monkeypatch.setattr(source, "resolve_transformer", resolve_transformer)
    return folder


def trained_on(preset):
    own = LatentSource(
        preset=preset,
        source="runs/f64",
        encoder_sha256="a" * 64,
        scaling_factor=0.5,
        random_weights=False,
    )
    return dataclasses.replace(TRAINED, trained_on=own)


def test_a_transformers_run_says_what_it_is_and_names_the_bundle(dcae, calls, transformer_run):
    calls["checkpoint"] = SMALL
    arguments = ("--weights", "a.safetensors", "--transformer-weights", transformer_run)
    assert dcae("export", *arguments, "--sampler", "ddim:4").status == 0
    assert calls["asked"] == [(str(transformer_run), None, None)]
    assert calls["resolved"] == [("a.safetensors", None)]
    ((_, target, _, _, _),) = calls["exported"]
    assert target == Path("uvit")
    (transformer,) = calls["transformers"]
    assert transformer.checkpoint is calls["transformer"]
    assert (transformer.samplers, transformer.class_names) == (("ddim:4",), None)


@pytest.mark.parametrize("variant", [None, "f64"])
def test_the_name_of_a_transformer_is_asked_for_beside_its_run(
    dcae, calls, transformer_run, variant
):
    calls["checkpoint"] = SMALL
    arguments = ("--weights", "a.safetensors", "--transformer-weights", transformer_run)
    also = () if variant is None else ("--variant", variant)
    assert dcae("export", *arguments, "--transformer", "uvit-s", *also).status == 0
    assert calls["asked"] == [(str(transformer_run), "uvit-s", variant)]


def test_a_run_on_published_latents_brings_their_autoencoder(dcae, calls, transformer_run):
    calls["transformer"] = trained_on("dc-ae-f64c128-in-1.0")
    assert dcae("export", "--transformer-weights", transformer_run).status == 0
    assert calls["resolved"] == [(None, "dc-ae-f64c128-in-1.0")]


def test_a_run_on_latents_of_ones_own_names_the_autoencoder_that_is_missing(
    dcae, calls, transformer_run
):
    result = dcae("export", "--transformer-weights", transformer_run)
    assert result.status == 2
    assert "latents of runs/f64; name that autoencoder by --weights" in result.err
    assert not calls["resolved"]


def test_a_transformer_of_no_published_name_needs_a_name_for_the_bundle(
    dcae, calls, transformer_run
):
    calls["transformer"] = trained_on("dc-ae-f64c128-in-1.0")
    result = dcae("export", "--transformer-weights", "me/my-uvit")
    assert result.status == 2
    assert "name the bundle with --out" in result.err
    arguments = ("--transformer-weights", "me/my-uvit", "--out", "mine")
    assert dcae("export", *arguments).status == 0


def test_an_existing_bundle_of_a_transformers_run_is_an_error_before_weights_are_read(
    dcae, calls, transformer_run, tmp_path
):
    (tmp_path / "uvit").mkdir()
    result = dcae("export", "--weights", "a.safetensors", "--transformer-weights", transformer_run)
    assert result.status == 3
    assert "uvit: exists; --force replaces it" in result.err
    assert not calls["asked"]


@pytest.fixture
def shipped_transformer(calls, monkeypatch):
    """A transformer that comes with the package; ``calls["checkpoint"]`` is the autoencoder that does."""
    made = dataclasses.replace(TRAINED, preset="dc-ae-f64c64-demo-usit-demo")
    calls["checkpoint"] = named("dc-ae-f64c64-demo")
    monkeypatch.setattr(source, "shipped_transformer", lambda: made)
    return made


@pytest.mark.parametrize("variant", ["f64-demo", "dc-ae-f64c64-demo"])
def test_the_demo_model_brings_its_transformer(dcae, calls, shipped_transformer, variant):
    assert dcae("export", "--variant", variant, "--sampler", "ddim:4").status == 0
    assert calls["resolved"] == [(None, variant)]
    (transformer,) = calls["transformers"]
    assert (transformer.checkpoint, transformer.samplers) == (shipped_transformer, ("ddim:4",))
    ((_, target, _, _, _),) = calls["exported"]
    assert target == Path("dc-ae-f64c64-demo-usit-demo")
    again = dcae("export", "--variant", variant)
    assert again.status == 3
    assert "dc-ae-f64c64-demo-usit-demo: exists" in again.err


def test_other_weights_of_the_demo_variant_bring_no_transformer(dcae, calls, shipped_transformer):
    arguments = ("--variant", "f64-demo", "--weights", "random:0")
    assert dcae("export", *arguments).status == 0
    assert calls["resolved"] == [("random:0", "f64-demo")]
    assert calls["transformers"] == [None]
    assert dcae("export", *arguments, "--sampler", "ddim:4", "--out", "b").status == 2


def test_another_transformer_takes_the_shipped_autoencoder(
    dcae, calls, shipped_transformer, transformer_run
):
    arguments = ("--variant", "f64-demo", "--transformer-weights", transformer_run)
    assert dcae("export", *arguments).status == 0
    assert calls["resolved"] == [(None, "f64-demo")]
    (transformer,) = calls["transformers"]
    assert transformer.checkpoint is calls["transformer"]


@pytest.mark.parametrize("option", [("--sampler", "ddim:4"), ("--class-names", "names.txt")])
def test_options_of_a_transformer_need_one(dcae, calls, option):
    result = dcae("export", "--variant", "f64", *option)
    assert result.status == 2
    assert "go with --transformer or its weights" in result.err
