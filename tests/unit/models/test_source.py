import dataclasses

import pytest
from autoencoders import shrink

from dcae_export import hub
from dcae_export.errors import HubError, UsageError, WeightsError
from dcae_export.models.key_map import Layout
from dcae_export.models.presets import PRESETS
from dcae_export.models.source import resolve, resolve_transformer
from dcae_export.models.weights import random_checkpoint, save_checkpoint

LITE = "dc-ae-lite-f32c32-sana-1.1"


@pytest.fixture(autouse=True)
def small_lite(monkeypatch):
    small = dataclasses.replace(PRESETS[LITE], config=shrink(PRESETS[LITE].config))
    monkeypatch.setitem(PRESETS, LITE, small)


@pytest.fixture
def saved(tmp_path):
    save_checkpoint(random_checkpoint(LITE, seed=4), tmp_path / "lite", layout=Layout.DIFFUSERS)
    return tmp_path / "lite"


def test_random_weights_are_named_by_their_seed():
    checkpoint = resolve("random:7", variant=LITE)
    assert (checkpoint.preset, checkpoint.source) == (LITE, "random:7")
    assert checkpoint.has_random_weights
    assert checkpoint.sha256 == random_checkpoint(LITE, seed=7).sha256


@pytest.mark.parametrize("seed", ["", "x", "-1", "1.5", "²"])
def test_a_malformed_seed_is_a_usage_error(seed):
    with pytest.raises(UsageError, match="seed is a number"):
        resolve(f"random:{seed}", variant=LITE)


def test_random_weights_need_a_variant():
    with pytest.raises(UsageError, match="which variant"):
        resolve("random:1", variant=None)


def test_a_folder_and_a_file_are_local(saved):
    for path in (saved, saved / "diffusion_pytorch_model.safetensors"):
        assert resolve(str(path), variant=None).preset == LITE


@pytest.mark.parametrize("name", ["a/model.safetensors", "model.pt", "a/b/c", "nothing"])
def test_a_missing_file_is_not_looked_for_on_the_hub(name, monkeypatch):
    monkeypatch.setattr(hub, "fetch", lambda *args, **options: pytest.fail("went to the hub"))
    with pytest.raises(WeightsError, match="no such file"):
        resolve(name, variant=LITE)


@pytest.mark.parametrize(
    ("weights", "variant", "repository"),
    [
        (None, LITE, "dc-ai/dc-ae-lite-f32c32"),
        ("me/my-lite", LITE, "me/my-lite"),
        ("me/my-lite", None, "me/my-lite"),
    ],
)
def test_a_repository_is_fetched_and_named_as_the_source(
    weights, variant, repository, saved, monkeypatch
):
    asked = []

    def fetch(name, *, allow):
        asked.append((name, allow))
        return saved

    monkeypatch.setattr(hub, "fetch", fetch)
    checkpoint = resolve(weights, variant=variant)
    assert (checkpoint.preset, checkpoint.source) == (LITE, repository)
    ((name, allow),) = asked
    assert name == repository
    # A pattern that starts with a wildcard would also fetch a pipeline's text encoder.
    assert not any(pattern.startswith("*") for pattern in allow)
    assert {"config.json", "model.safetensors", "vae/config.json"} <= set(allow)


@pytest.mark.parametrize("variant", ["sd-f32", "sd-f64"])
def test_a_variant_without_public_weights_says_so_and_what_else_there_is(variant, monkeypatch):
    monkeypatch.setattr(hub, "fetch", lambda *args, **options: pytest.fail("went to the hub"))
    with pytest.raises(WeightsError, match=f"^{variant}: no weights of it are public") as raised:
        resolve(None, variant=variant)
    assert "--weights PATH" in str(raised.value)
    assert "--weights random:SEED" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_without_weights_or_variant_there_is_nothing_to_resolve():
    with pytest.raises(UsageError, match="which weights"):
        resolve(None, variant=None)


def test_a_hub_error_names_three_ways_on(monkeypatch):
    def fail(*args, **options):
        raise HubError("dc-ai/dc-ae-lite-f32c32: the hub cannot be reached: no route")

    monkeypatch.setattr(hub, "fetch", fail)
    with pytest.raises(HubError, match=r"^dc-ai/dc-ae-lite-f32c32") as raised:
        resolve(None, variant=LITE)
    for way in ("--weights PATH", "--weights random:SEED", "HF_ENDPOINT", "HF_TOKEN"):
        assert way in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_error_names_the_option_that_weights_were_named_by(monkeypatch):
    def fail(*args, **options):
        raise HubError("me/mine: no such repository")

    monkeypatch.setattr(hub, "fetch", fail)
    for weights in (None, "me/mine"):
        with pytest.raises(HubError) as raised:
            resolve(weights, variant=LITE, option="--init-from")
        assert "--init-from PATH" in str(raised.value)
        assert "--init-from random:SEED" in str(raised.value)
        assert "--weights" not in str(raised.value)
    with pytest.raises(HubError, match="--init-from PATH") as raised:
        resolve_transformer("me/mine", name=None, autoencoder=None, option="--init-from")
    # Random weights need a transformer's name.
    assert "random:" not in str(raised.value)


def test_what_may_be_a_mistyped_path_is_first_said_to_be_no_file(monkeypatch):
    def fail(*args, **options):
        raise HubError("runs/f46: no such repository, or it is private")

    monkeypatch.setattr(hub, "fetch", fail)
    with pytest.raises(
        HubError, match=r"^no such file or folder here: runs/f46; and of the hub: runs/f46: no such"
    ):
        resolve("runs/f46", variant=LITE)
