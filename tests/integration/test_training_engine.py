"""The engine in processes of its own: several at once, sharded, and told to stop."""

import signal
import subprocess
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_kills import last_checkpoint
from training_processes import finish
from training_processes import start as start_python

from dcae_export.training.engine.checkpoint import Checkpoint
from dcae_export.training.engine.progress import RunProgress
from dcae_export.training.engine.run_folder import RunFolder

pytestmark = pytest.mark.integration

_TINY = Path(__file__).parents[1] / "tiny_training.py"
# float32 sums in another order, through eight steps of plain gradient descent: 1e-8 is what was seen.
_OTHER_ORDER = 1e-6
# Statistics of a batch and dropout differ with the number of processes.
_COMPARABLE = ("--optimizer=SGD", "--dropout=0", "--no-norm")


def start(run: Path, *options: str, num_processes: int = 1) -> list[subprocess.Popen[str]]:
    """The tiny training in as many processes."""
    return start_python(str(_TINY), str(run), *options, num_processes=num_processes)


def train(run: Path, *options: str, num_processes: int = 1) -> None:
    ends = finish(start(run, *options, num_processes=num_processes))
    assert [status for status, _, _ in ends] == [0] * num_processes, ends


def newest(run: Path) -> Checkpoint:
    checkpoint = RunFolder(run).newest(lambda event: pytest.fail(str(event)))
    assert checkpoint is not None
    return checkpoint


def relative_distance(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    assert actual.keys() == expected.keys()
    a, e = (torch.cat([t[name].flatten() for name in expected]) for t in (actual, expected))
    return float((a - e).norm() / e.norm())


@pytest.fixture(scope="module")
def of_one_process(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight steps of four pictures in one process."""
    run = tmp_path_factory.mktemp("one") / "run"
    train(run, "--batch-size=4", *_COMPARABLE)
    return run


@pytest.mark.parametrize(
    "options",
    [("--batch-size=2",), ("--batch-size=1", "--accumulation=2"), ("--batch-size=2", "--shard")],
    ids=["ddp", "ddp accumulating", "fsdp2"],
)
def test_two_processes_train_as_one_with_twice_the_batch(tmp_path, of_one_process, options):
    run = tmp_path / "run"
    train(run, *options, *_COMPARABLE, num_processes=2)
    for name in ("network", "discriminator", "ema"):
        expected = newest(of_one_process).tensors(name)
        actual = newest(run).tensors(name)
        assert relative_distance(actual, expected) < _OTHER_ORDER, name


@pytest.mark.parametrize("kind", [(), ("--shard",)], ids=["ddp", "fsdp2"])
def test_two_processes_that_resume_end_as_two_that_were_not_stopped(tmp_path, kind):
    options = ("--no-norm", *kind)
    train(tmp_path / "whole", *options, num_processes=2)
    train(tmp_path / "parts", *options, "--steps=5", num_processes=2)
    train(tmp_path / "parts", *options, "--resume", num_processes=2)
    assert last_checkpoint(tmp_path / "parts") == last_checkpoint(tmp_path / "whole")


def test_one_process_with_a_number_that_is_not_finite_stops_the_step_of_all(tmp_path):
    run = tmp_path / "run"
    options = ("--not-finite", "1:2", "--no-norm")
    (main, other) = finish(start(run, *options, num_processes=2))
    assert (main[0], other[0]) == (0, 0), (main, other)
    assert "StepSkipped 3" in main[1]
    # Events are told on the main process alone.
    assert other[1] == ""
    assert RunProgress.read(newest(run)).skipped == 1
    weights = newest(run).tensors("network").values()
    assert all(tensor.isfinite().all() for tensor in weights)


def test_a_signal_to_one_process_stops_all_after_a_checkpoint(tmp_path):
    run = tmp_path / "run"
    options = ("--steps=100000", "--checkpoint-every=100000", "--no-norm")
    processes = start(run, *options, num_processes=2)
    assert processes[0].stdout is not None
    assert processes[0].stdout.readline() == "StepDone 1\n"
    processes[1].send_signal(signal.SIGTERM)
    ends = finish(processes)
    assert [status for status, _, _ in ends] == [130, 130]
    step = newest(run).step
    assert f"stopped after step {step} of 100000; resume {run}" in ends[0][2]
    assert ends[0][1].splitlines()[-1] == f"CheckpointWritten {step}"
