import pytest
from autoencoders import shrink, small_checkpoint

from dcae_export.models.key_map import Layout
from dcae_export.models.presets import PRESETS
from dcae_export.models.weights import load_checkpoint, save_checkpoint

SMALL = small_checkpoint(shrink(PRESETS["dc-ae-f32c32-sana-1.0"].config))


@pytest.fixture
def diffusers(tmp_path):
    save_checkpoint(SMALL, tmp_path / "diffusers", layout=Layout.DIFFUSERS)
    return tmp_path / "diffusers"


def test_a_checkpoint_is_written_in_the_layout_that_was_asked_for(dcae, diffusers, tmp_path):
    result = dcae("weights", "convert", diffusers, tmp_path / "again", "--layout", "diffusers")
    assert result.status == 0
    assert result.out == f"{tmp_path / 'again'}: custom, diffusers layout\n"
    assert "licence" in result.err
    assert load_checkpoint(tmp_path / "again").sha256 == SMALL.sha256


def test_a_layout_that_cannot_say_what_it_holds_is_an_error(dcae, diffusers, tmp_path):
    result = dcae("weights", "convert", diffusers, tmp_path / "again", "--layout", "official")
    assert result.status == 3
    assert not (tmp_path / "again").exists()


def test_an_existing_folder_is_kept(dcae, diffusers):
    result = dcae("weights", "convert", diffusers, diffusers, "--layout", "diffusers")
    assert result.status == 3
    assert "--force" in result.err


def test_a_missing_checkpoint_is_an_error(dcae, tmp_path):
    result = dcae("weights", "convert", tmp_path / "no", tmp_path / "a", "--layout", "diffusers")
    assert result.status == 3
    assert result.err.count("\n") == 1


def test_an_unknown_layout_is_a_usage_error(dcae, diffusers, tmp_path):
    result = dcae("weights", "convert", diffusers, tmp_path / "a", "--layout", "ours")
    assert result.status == 2
    assert "official" in result.err
