import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from recipes.demo import train
from recipes.demo.train import Step, command, steps, words_to_run

ROOT = Path(__file__).parents[3]


def test_the_document_has_the_commands_as_they_are_run():
    text = (ROOT / "docs" / "demo-model.md").read_text(encoding="utf-8")
    for step in steps(Path("demo-model"), Path("dcae_export/demo")):
        assert f"\n{shlex.join(step.words)}\n" in text


def test_each_phase_starts_from_the_one_before_and_what_follows_takes_the_last():
    words = [list(step.words) for step in steps(Path("f"), Path("out"))]
    phases = [line for line in words if line[:3] == ["dcae", "train", "autoencoder"]]
    starts = [line[-1] for line in phases if "--init-from" in line]
    assert [line[3] for line in phases] == [f"f64-demo-phase{number}" for number in (1, 2, 3)]
    assert starts == ["f/runs/phase1", "f/runs/phase2"]
    latents = [line for line in words if line[1] == "latents"]
    assert {line[line.index("--autoencoder") + 1] for line in latents} == {"f/runs/phase3"}
    made = {line[line.index("--out") + 1] for line in latents}
    first, last = [line for line in words if line[:3] == ["dcae", "train", "diffusion"]]
    assert first[first.index("--data") + 1] == "f/latents/512"
    assert {last[at + 1] for at, word in enumerate(last) if word == "--data"} == made
    assert last[-2:] == ["--init-from", first[first.index("--out") + 1]]
    assert words[-1][-2:] == ["--out", "out"]


def test_a_run_is_begun_gone_on_with_and_then_left(tmp_path):
    step = Step(words=("dcae", "train"), run=tmp_path / "run")
    assert words_to_run(step) == ("dcae", "train")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").touch()
    assert words_to_run(step) == ("dcae", "train", "--resume")
    (tmp_path / "run" / "model").mkdir()
    assert words_to_run(step) is None


def test_a_command_that_makes_no_run_is_always_called():
    step = Step(words=("dcae", "latents"))
    assert words_to_run(step) == step.words


@pytest.fixture
def called(monkeypatch):
    """The commands that would have been run."""
    lines = []
    monkeypatch.setattr(train, "run_public", lambda *words: lines.append(words))
    return lines


def test_what_is_complete_is_said_and_not_run(called, tmp_path):
    run = tmp_path / "runs" / "phase1"
    (run / "model").mkdir(parents=True)
    (run / "recipe.yaml").touch()
    result = CliRunner().invoke(
        command, ["--folder", str(tmp_path), "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 0
    assert result.output == f"{run}: is complete\n"
    planned = [step.words for step in steps(tmp_path, tmp_path / "out")]
    assert called == [words for words in planned if "f64-demo-phase1" not in words]
    assert len(called) == len(planned) - 1
    assert sys.executable not in {word for words in called for word in words}
