import dataclasses
import math
from pathlib import Path

from training_recipes import sample, step_done

from dcae_export.cli.commands.train.progress import TrainingProgress, describe
from dcae_export.training.engine.events import CheckpointUnusable, CheckpointWritten, StepSkipped


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def skipped(step: int) -> StepSkipped:
    return StepSkipped(
        step=step,
        losses={"l1": math.nan},
        gradient_norms={"network": math.inf},
        in_a_row=2,
        skipped=3,
    )


def test_a_step_is_described_by_its_losses_speed_and_the_time_left():
    event = step_done(1, l1=0.123456, lpips=0.5)
    assert describe(event) == "l1 0.1235, lpips 0.5, 2.5 samples/s, 0:01:30 left"
    long = dataclasses.replace(event, losses={"l1": 1.0}, seconds_left=200_000.0)
    assert describe(long) == "l1 1, 2.5 samples/s, 2 days, 7:33:20 left"


def test_without_a_terminal_the_first_and_the_last_step_are_a_line_and_few_between(capsys):
    clock = Clock()
    with TrainingProgress(clock=clock) as progress:
        for step in range(1, 101):
            progress(step_done(step, steps=100))
            clock.now_s += 1
    lines = capsys.readouterr().err.splitlines()
    steps = [line.split(":")[1] for line in lines]
    assert steps == [" step 1/100", " step 31/100", " step 61/100", " step 91/100", " step 100/100"]
    assert progress.last == step_done(100, steps=100)


def test_on_a_terminal_there_is_one_line_that_goes_at_the_end(terminal):
    with TrainingProgress() as progress:
        progress(step_done(1, l1=0.25))
        progress(step_done(2, l1=0.125))
        progress._display[0].refresh()
        assert "2/3" in terminal.getvalue()
        assert "l1 0.125, 2.5 samples/s, 0:01:30 left" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K")


def test_a_skipped_step_is_told_at_once_above_the_line_where_there_is_one(capsys, terminal):
    with TrainingProgress() as progress:
        progress(skipped(1))
        progress(step_done(2))
        progress(skipped(3))
    told = "skipped: l1 nan, gradient of network inf (2 in a row)"
    assert capsys.readouterr().err == f"dcae: step 1 {told}\n"
    assert f"dcae: step 3 {told}" in terminal.getvalue()


def test_a_damaged_checkpoint_is_told(capsys):
    with TrainingProgress() as progress:
        progress(CheckpointUnusable(path=Path("runs/checkpoints/step-000100"), reason="cut\noff"))
        progress(CheckpointWritten(step=1, path=Path("runs")))
        progress(sample(1))
    assert capsys.readouterr().err == (
        "dcae: runs/checkpoints/step-000100: cut off; an older checkpoint is used\n"
    )
    assert progress.last is None
