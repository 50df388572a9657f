import dataclasses

import pytest
from safetensors.torch import save_file
from small_transformers import SMALL_DIT

from dcae_export import hub
from dcae_export.errors import HubError, UsageError, WeightsError
from dcae_export.models.source import resolve_transformer
from dcae_export.models.transformer_presets import TRANSFORMERS
from dcae_export.models.transformer_weights import random_transformer_checkpoint

DIT = "dc-ae-f32c32-in-1.0-dit-xl-in-512px"


@pytest.fixture(autouse=True)
def small_dit(monkeypatch):
    small = dataclasses.replace(TRANSFORMERS[DIT], config=SMALL_DIT)
    monkeypatch.setitem(TRANSFORMERS, DIT, small)


@pytest.fixture
def saved(tmp_path):
    checkpoint = random_transformer_checkpoint("dit-xl", autoencoder="f32", seed=4)
    save_file(checkpoint.state, tmp_path / "model.safetensors")
    return tmp_path


def resolve(weights, name="dit-xl", autoencoder="f32"):
    return resolve_transformer(weights, name=name, autoencoder=autoencoder)


def test_random_weights_of_a_transformer_are_named_by_their_seed():
    checkpoint = resolve("random:7")
    assert (checkpoint.preset, checkpoint.source) == (DIT, "random:7")
    assert checkpoint.has_random_weights


@pytest.mark.parametrize("seed", ["", "x", "-1"])
def test_a_malformed_seed_of_a_transformer_is_a_usage_error(seed):
    with pytest.raises(UsageError, match="seed is a number"):
        resolve(f"random:{seed}")


def test_a_folder_and_a_file_of_a_transformer_are_local(saved):
    for path in (saved, saved / "model.safetensors"):
        checkpoint = resolve(str(path))
        assert (checkpoint.preset, checkpoint.source) == (DIT, str(path))


@pytest.mark.parametrize("weights", ["nothing", "a/model.safetensors"])
def test_a_missing_file_of_a_transformer_is_not_looked_for_on_the_hub(weights, monkeypatch):
    monkeypatch.setattr(hub, "fetch", lambda *args, **options: pytest.fail("went to the hub"))
    with pytest.raises(WeightsError, match="no such file"):
        resolve(weights)


@pytest.mark.parametrize(
    ("weights", "repository"), [(None, f"mit-han-lab/{DIT}"), ("me/my-dit", "me/my-dit")]
)
def test_the_repository_of_a_transformer_is_fetched_and_named_as_the_source(
    weights, repository, saved, monkeypatch
):
    asked = []

    def fetch(name, *, allow):
        asked.append(name)
        assert "model.safetensors" in allow
        return saved

    monkeypatch.setattr(hub, "fetch", fetch)
    checkpoint = resolve(weights)
    assert (checkpoint.preset, checkpoint.source) == (DIT, repository)
    assert asked == [repository]


def test_a_backbone_without_published_weights_names_the_ways_on(monkeypatch):
    monkeypatch.setattr(hub, "fetch", lambda *args, **options: pytest.fail("went to the hub"))
    with pytest.raises(UsageError, match=r"no weights are published for dit-b on sd-f8") as raised:
        resolve(None, "dit-b", "sd-f8")
    for way in ("--weights PATH", "ORG/NAME", "random:SEED"):
        assert way in str(raised.value)


def test_a_hub_error_of_a_transformer_names_the_ways_on(monkeypatch):
    def fail(*args, **options):
        raise HubError(f"mit-han-lab/{DIT}: the hub cannot be reached: no route")

    monkeypatch.setattr(hub, "fetch", fail)
    with pytest.raises(HubError, match="--weights PATH"):
        resolve(None)


def test_an_unknown_name_is_a_usage_error_whatever_the_weights():
    with pytest.raises(UsageError, match="unknown transformer"):
        resolve("random:0", "dit-xxl")


@pytest.mark.parametrize(("weights", "name"), [(None, None), ("random:1", None), (None, "dit-xl")])
def test_what_nothing_describes_needs_a_name_and_an_autoencoder(weights, name):
    with pytest.raises(UsageError, match="--transformer and --variant"):
        resolve_transformer(weights, name=name, autoencoder=None)


def test_a_repository_that_names_its_transformer_needs_no_name(saved, monkeypatch):
    (saved / "config.json").write_text(f'{{"model_name": "{DIT}"}}')
    monkeypatch.setattr(hub, "fetch", lambda name, *, allow: saved)
    checkpoint = resolve(f"mit-han-lab/{DIT}", None, None)
    assert (checkpoint.preset, checkpoint.source) == (DIT, f"mit-han-lab/{DIT}")
