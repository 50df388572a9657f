import os
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from demo_stand_in import ship_stand_in, write_autoencoder_run, write_transformer_run
from export_factory import files
from safetensors.torch import load_file
from stored_tensors import rewrite

from dcae_export.errors import InputError, WeightsError
from dcae_export.models import shipped
from recipes.demo.ship import command, ship


@pytest.fixture
def runs(demo_folder, tmp_path):
    """A finished autoencoder, and a transformer for its latents."""
    autoencoder = write_autoencoder_run(tmp_path / "runs" / "phase3")
    return autoencoder, write_transformer_run(tmp_path / "runs" / "uvit", autoencoder)


def test_the_same_runs_give_the_same_bytes(runs, tmp_path):
    ship(*runs, tmp_path / "first")
    ship(*runs, tmp_path / "second")
    assert files(tmp_path / "first") == files(tmp_path / "second")
    assert set(files(tmp_path / "first")) == {
        "README.md",
        *(
            f"{part}/{name}"
            for part in ("autoencoder", "transformer")
            for name in ("README.md", "config.json", "diffusion_pytorch_model.safetensors")
        ),
    }


def test_the_command_says_the_size(runs, tmp_path):
    target = tmp_path / "out" / "demo"
    arguments = ["--autoencoder", runs[0], "--transformer", runs[1], "--out", target]
    result = CliRunner().invoke(command, [str(word) for word in arguments])
    size = sum(len(content) for content in files(target).values())
    assert result.output == f"{target}: {size} bytes of at most 12000000\n"


def test_the_text_says_where_it_is_from_and_nothing_of_this_machine(runs, tmp_path):
    later = write_autoencoder_run(tmp_path / "runs" / "later")
    recipe = later / "recipe.yaml"
    text = recipe.read_text().replace("phase: full", "phase: local-refinement\ndecoder_head: 1")
    recipe.write_text(f"init_from: {runs[0]}\n{text}".replace("steps: 4", "steps: 7"))
    ship(later, runs[1], tmp_path / "demo")
    readme = (tmp_path / "demo" / "README.md").read_text()
    told = [line for line in readme.splitlines() if line.startswith(("| autoen", "| transf"))]
    assert told == [
        "| autoencoder, full | 4 steps of 2 crops of 64 px |",
        "| autoencoder, local-refinement | 7 steps of 2 crops of 64 px |",
        "| transformer, uvit of depth 2 and width 32 | 4 steps of 8 latents of the smallest size |",
    ]
    assert "Apache-2.0" in readme
    assert all(name in readme for name in ("clouds", "stripes", "chelsea", "never its astronaut"))
    for content in files(tmp_path / "demo").values():
        assert os.fsencode(tmp_path) not in content


def test_the_model_before_is_replaced(runs, tmp_path):
    ship_stand_in(tmp_path / "demo", tmp_path / "older", seed=1)
    before = files(tmp_path / "demo")
    ship(*runs, tmp_path / "demo")
    assert files(tmp_path / "demo") != before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_folder_of_something_else_is_kept(runs, tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mine.txt").touch()
    with pytest.raises(InputError, match=r"more than a demo model \(mine\.txt\)"):
        ship(*runs, tmp_path / "demo")
    assert set(files(tmp_path / "demo")) == {"mine.txt"}


def refuse(runs, tmp_path, error, match):
    with pytest.raises(error, match=match):
        ship(*runs, tmp_path / "demo")
    assert not (tmp_path / "demo").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_is_too_large_for_the_package_is_not_written(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "MAX_BYTES", 1000)
    refuse(runs, tmp_path, InputError, "bytes, at most 1000 go into the package")


def test_a_transformer_of_another_autoencoder_is_refused(runs, tmp_path):
    other = write_autoencoder_run(tmp_path / "runs" / "other", seed=1)
    refuse((other, runs[1]), tmp_path, WeightsError, "was not trained on latents of")


def test_a_weight_beyond_float16_is_refused(runs, tmp_path):
    def enlarge(tensors):
        tensors["pos_embed"] = tensors["pos_embed"] + 1e5

    weights = runs[1] / "model" / "diffusion_pytorch_model.safetensors"
    assert torch.float32 in {one.dtype for one in load_file(weights).values()}
    rewrite(weights, enlarge)
    refuse(runs, tmp_path, WeightsError, "pos_embed is too large for float16")


def test_a_run_that_is_not_finished_is_refused(runs, tmp_path):
    (runs[0] / "model").rename(tmp_path / "elsewhere")
    refuse(runs, tmp_path, WeightsError, "not finished")


@pytest.mark.parametrize("swapped", [(1, 1), (0, 0)])
def test_each_run_has_to_be_of_its_kind(runs, tmp_path, swapped):
    first, second = (runs[place] for place in swapped)
    refuse((first, second), tmp_path, InputError, "recipe.yaml")


def test_a_folder_that_is_no_run_is_refused(runs, tmp_path):
    refuse((Path("nowhere"), runs[1]), tmp_path, InputError, "nowhere: holds no recipe.yaml")
