"""The engine in one process; several at once are in tests/integration."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from tiny_training import Noise, TinyTraining, settings, tiny_training
from torch import Tensor
from training_kills import last_checkpoint

from dcae_export.errors import (
    BusyError,
    CancelledError,
    ConfigError,
    InputError,
    ProviderError,
    ResourceError,
    TrainingError,
    WeightsError,
)
from dcae_export.training.engine import engine
from dcae_export.training.engine.checkpoint import Checkpoint
from dcae_export.training.engine.engine import Outcome, train
from dcae_export.training.engine.events import (
    CheckpointUnusable,
    CheckpointWritten,
    Event,
    Note,
    Sample,
    StepDone,
    StepSkipped,
)
from dcae_export.training.engine.processes import Processes
from dcae_export.training.engine.progress import RunProgress
from dcae_export.training.engine.protocols import Data
from dcae_export.training.engine.run_folder import RunFolder
from dcae_export.training.engine.settings import Precision


def run(
    folder: Path,
    *,
    training: TinyTraining | None = None,
    batch_size: int = 2,
    data: Data[Tensor] | None = None,
    resume: bool = False,
    on_event: Callable[[Event], None] = lambda _: None,
    **changes: object,
) -> Outcome:
    return train(
        training or tiny_training(),
        data or Noise(batch_size=batch_size),
        settings(**changes),
        RunFolder(folder),
        resume=resume,
        on_event=on_event,
    )


def newest(folder: Path) -> Checkpoint:
    found = RunFolder(folder).newest(lambda event: pytest.fail(str(event)))
    assert found is not None
    return found


def differing(first: dict[str, Tensor], second: dict[str, Tensor]) -> set[str]:
    assert first.keys() == second.keys()
    return {name for name in first if not torch.equal(first[name], second[name])}


def steps_of(events: list[Event], kind: type[Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, kind)]


class StoppedError(Exception):
    """What a callback stops a run with."""


def stop_at(step: int, kind: type[Event] = StepDone) -> Callable[[Event], None]:
    def callback(event: Event) -> None:
        if isinstance(event, kind) and event.step == step:
            raise StoppedError

    return callback


def test_a_run_tells_its_steps_and_checkpoints(tmp_path):
    events: list[Event] = []
    outcome = run(tmp_path, on_event=events.append)
    assert (outcome.step, outcome.skipped) == (8, 0)
    assert steps_of(events, StepDone) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert steps_of(events, CheckpointWritten) == [3, 6, 8]
    last = [event for event in events if isinstance(event, StepDone)][-1]
    assert set(last.losses) == {"l1", "hinge"}
    assert set(last.gradient_norms) == {"network", "discriminator"}
    assert last.samples_per_second > 0
    assert last.seconds_left == 0


def test_the_learning_rate_warms_up(tmp_path):
    rates: list[float] = []
    run(
        tmp_path,
        on_event=lambda e: rates.append(e.learning_rate) if isinstance(e, StepDone) else None,
    )
    assert rates == pytest.approx([0.001, 0.004, 0.007, 0.01, 0.01, 0.01, 0.01, 0.01])


def test_exactly_what_trains_moves_and_the_discriminator_from_its_start(tmp_path):
    training = tiny_training(start=4)
    before = {
        name: {key: t.clone() for key, t in module.state_dict().items()}
        for name, module in training.modules.items()
    }
    run(tmp_path, training=training, steps=4)
    moved = differing(newest(tmp_path).tensors("network"), before["network"])
    assert moved == {name for name in before["network"] if not name.startswith("frozen")}
    assert not differing(newest(tmp_path).tensors("discriminator"), before["discriminator"])
    assert newest(tmp_path).tensors("discriminator.optimizer") == {}
    run(tmp_path, training=tiny_training(start=4), steps=5, resume=True)
    assert differing(newest(tmp_path).tensors("discriminator"), before["discriminator"])


def test_the_published_weights_are_the_averages_and_what_has_none(tmp_path):
    outcome = run(tmp_path)
    network, averages = (newest(tmp_path).tensors(name) for name in ("network", "ema"))
    assert not differing(outcome.weights, network | averages)
    assert differing(network, outcome.weights) == set(averages)


def test_a_training_that_has_nothing_to_show_tells_no_samples(tmp_path):
    training = tiny_training()
    training.sample = lambda *, accelerator: None
    events: list[Event] = []
    run(tmp_path, training=training, sample_every=2, on_event=events.append)
    assert steps_of(events, Sample) == []
    assert steps_of(events, StepDone)[-1] == 8


def test_without_averages_the_published_weights_are_the_network(tmp_path):
    outcome = run(tmp_path, ema=None)
    assert not differing(outcome.weights, newest(tmp_path).tensors("network"))
    assert "ema.safetensors" not in last_checkpoint(tmp_path)


@pytest.mark.parametrize("step", [1, 3, 5, 7])
def test_a_run_that_is_stopped_and_resumed_ends_with_the_same_bits(tmp_path, step):
    run(tmp_path / "whole")
    with pytest.raises(StoppedError):
        run(tmp_path / "parts", on_event=stop_at(step))
    run(tmp_path / "parts", resume=True)
    assert last_checkpoint(tmp_path / "parts") == last_checkpoint(tmp_path / "whole")


def test_accumulated_batches_are_resumed_at_their_step(tmp_path):
    run(tmp_path / "whole", accumulation=3)
    with pytest.raises(StoppedError):
        run(tmp_path / "parts", accumulation=3, on_event=stop_at(5))
    run(tmp_path / "parts", accumulation=3, resume=True)
    assert last_checkpoint(tmp_path / "parts") == last_checkpoint(tmp_path / "whole")
    assert RunProgress.read(newest(tmp_path / "parts")).positions == [{"batch": 24}]


def test_two_batches_that_are_accumulated_are_one_of_twice_the_size(tmp_path):
    losses: list[float] = []

    def weights(name: str, **changes: object) -> Tensor:
        torch.manual_seed(0)
        training = tiny_training(optimizer=torch.optim.SGD)
        training.modules["network"].dropout.p = 0.0
        training.modules["network"].norm = torch.nn.Identity()
        training.optimizers["network"].param_groups[0]["params"] = [
            p for p in training.modules["network"].parameters() if p.requires_grad
        ]

        def tell(event: Event) -> None:
            if isinstance(event, StepDone) and event.step == 1:
                losses.append(event.losses["l1"])

        outcome = run(tmp_path / name, training=training, on_event=tell, **changes)
        return torch.cat([t.flatten() for t in outcome.weights.values()])

    one, two = weights("one", batch_size=4), weights("two", batch_size=2, accumulation=2)
    # float32 sums in another order, through eight steps of plain gradient descent.
    other_order = 1e-6
    assert float((two - one).norm() / one.norm()) < other_order
    assert losses[1] == pytest.approx(losses[0], rel=other_order)


def test_a_sample_changes_nothing(tmp_path):
    events: list[Event] = []
    run(tmp_path / "without")
    run(tmp_path / "with", sample_every=3, on_event=events.append)
    assert last_checkpoint(tmp_path / "with") == last_checkpoint(tmp_path / "without")
    assert steps_of(events, Sample) == [3, 6, 8]
    samples = [event for event in events if isinstance(event, Sample)]
    assert samples[0].images.shape == samples[0].reconstructions.shape == (2, 3, 8, 8)


def test_a_step_that_is_not_finite_moves_nothing_and_is_counted(tmp_path):
    events: list[Event] = []
    data = Noise(batch_size=2, not_finite=frozenset([5]))
    run(tmp_path, steps=5, checkpoint_every=5)
    before = {name: newest(tmp_path).tensors(name) for name in _MOVING}
    outcome = run(
        tmp_path, data=data, steps=6, checkpoint_every=6, resume=True, on_event=events.append
    )
    assert (outcome.step, outcome.skipped) == (6, 1)
    assert all(not differing(newest(tmp_path).tensors(name), before[name]) for name in _MOVING)
    (skipped,) = [event for event in events if isinstance(event, StepSkipped)]
    assert (skipped.step, skipped.in_a_row, skipped.skipped) == (6, 1, 1)
    assert not torch.tensor(skipped.losses["l1"]).isfinite()
    progress = RunProgress.read(newest(tmp_path))
    assert (progress.updates, progress.skipped, progress.skipped_in_a_row) == (5, 1, 1)
    assert progress.positions == [{"batch": 6}]


_MOVING = ("network", "network.optimizer", "discriminator", "discriminator.optimizer", "ema")


def test_after_a_skipped_step_the_run_goes_on(tmp_path):
    events: list[Event] = []
    data = Noise(batch_size=2, not_finite=frozenset([0, 1, 4, 5]))
    outcome = run(tmp_path, data=data, on_event=events.append)
    assert steps_of(events, StepSkipped) == [1, 2, 5, 6]
    assert steps_of(events, StepDone) == [3, 4, 7, 8]
    assert outcome.skipped == 4
    assert all(tensor.isfinite().all() for tensor in outcome.weights.values())


def test_too_many_skipped_steps_end_the_run_and_keep_the_last_good_checkpoint(tmp_path):
    data = Noise(batch_size=2, not_finite=frozenset(range(4, 100)))
    with pytest.raises(TrainingError) as caught:
        run(tmp_path, data=data, steps=100)
    assert str(caught.value) == (
        "step 7: a loss or a gradient was not finite in 3 steps in a row; the last good checkpoint is "
        f"{tmp_path / 'checkpoints' / 'step-000006'}; lower the learning rate and resume"
    )
    assert all(t.isfinite().all() for t in newest(tmp_path).tensors("network").values())


def test_skipped_steps_are_counted_through_a_resumption(tmp_path):
    data = Noise(batch_size=2, not_finite=frozenset(range(1, 100)))
    with pytest.raises(StoppedError):
        run(tmp_path, data=data, on_event=stop_at(3, CheckpointWritten))
    with pytest.raises(TrainingError, match=r"step 4: .* in 3 steps in a row"):
        run(tmp_path, data=data, resume=True)


def test_a_run_that_fails_before_its_first_checkpoint_says_so(tmp_path):
    data = Noise(batch_size=2, not_finite=frozenset([0]))
    with pytest.raises(TrainingError, match="no checkpoint was written yet"):
        run(tmp_path, data=data, max_skipped=1)


def scaled(scale: float):
    """The processes as float16 has them on a GPU, on the CPU and in float32."""

    def made(precision: Precision, *, accumulation: int) -> Processes:
        processes = Processes(precision, accumulation=accumulation)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=2)
        processes.accelerator.scaler = scaler
        return processes

    return made


def test_a_loss_scale_that_can_be_lowered_does_not_end_the_run(tmp_path, monkeypatch):
    events: list[Event] = []
    monkeypatch.setattr(engine, "Processes", scaled(2.0**127))
    training = tiny_training()
    training.modules["network"].conv_in.weight.register_hook(lambda gradient: gradient * 1e4)
    run(tmp_path, training=training, max_skipped=1, steps=30, on_event=events.append)
    skipped = [event for event in events if isinstance(event, StepSkipped)]
    assert skipped
    assert {event.in_a_row for event in skipped} == {0}
    assert steps_of(events, StepDone)


def test_the_loss_scale_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "Processes", scaled(1024.0))
    run(tmp_path / "whole")
    scaler = RunProgress.read(newest(tmp_path / "whole")).scaler
    assert scaler is not None
    assert scaler["scale"] == 1024.0 * 2**4
    with pytest.raises(StoppedError):
        run(tmp_path / "parts", on_event=stop_at(5))
    run(tmp_path / "parts", resume=True)
    assert last_checkpoint(tmp_path / "parts") == last_checkpoint(tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_its_step_with_a_checkpoint(tmp_path, number):
    run(tmp_path / "whole")

    def tell_self(event: Event) -> None:
        if isinstance(event, StepDone) and event.step == 4:
            os.kill(os.getpid(), number)

    notes: list[Event] = []

    def listen(event: Event) -> None:
        tell_self(event)
        if isinstance(event, Note):
            notes.append(event)

    with pytest.raises(CancelledError, match="stopped after step 5 of 8; resume"):
        run(tmp_path / "parts", on_event=listen)
    assert [note.text for note in notes] == [
        "told to stop: will do so after this step, with a checkpoint; a second signal stops at once, without"
    ]
    assert newest(tmp_path / "parts").step == 5
    run(tmp_path / "parts", resume=True)
    assert last_checkpoint(tmp_path / "parts") == last_checkpoint(tmp_path / "whole")


@dataclass(frozen=True, kw_only=True, slots=True)
class KilledReaders:
    """Data whose second batch finds a reading process killed, by a signal that the main one gets as well or not."""

    together: bool

    def batches(self, position: dict[str, int]) -> Iterator[tuple[Tensor, dict[str, int]]]:
        yield next(Noise(batch_size=2).batches(position))
        if self.together:
            os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Terminated. ")


def test_a_signal_that_ends_the_readers_too_is_an_interruption(tmp_path):
    with pytest.raises(CancelledError, match="stopped within a step, which is lost; resume"):
        run(tmp_path, data=KilledReaders(together=True), checkpoint_every=1)
    assert newest(tmp_path).step == 1
    assert run(tmp_path, resume=True).step == 8


def test_a_reader_that_is_killed_alone_is_a_resource_error(tmp_path):
    with pytest.raises(ResourceError, match="a process that reads pictures was killed"):
        run(tmp_path, data=KilledReaders(together=False))


def test_bfloat16_computes_in_bfloat16_and_keeps_float32(tmp_path):
    in_float32 = run(tmp_path / "fp32")
    # It holds one precision for a process.
    AcceleratorState._reset_state(reset_partial_state=True)
    in_bfloat16 = run(tmp_path / "bf16", precision=Precision.BF16)
    assert differing(in_float32.weights, in_bfloat16.weights)
    assert {t.dtype for n, t in in_bfloat16.weights.items() if "tracked" not in n} == {
        torch.float32
    }


def test_float16_on_the_cpu_is_refused(tmp_path):
    with pytest.raises(ProviderError, match="fp16 needs a GPU"):
        run(tmp_path, precision=Precision.FP16)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_run_is_continued_only_on_request(tmp_path):
    run(tmp_path, steps=2)
    with pytest.raises(InputError, match="holds a run of 2 steps; resume it, or choose another"):
        run(tmp_path)


def test_a_resumption_of_nothing_begins(tmp_path):
    run(tmp_path / "whole")
    run(tmp_path / "new", resume=True)
    assert last_checkpoint(tmp_path / "new") == last_checkpoint(tmp_path / "whole")


def test_a_run_that_is_done_is_done(tmp_path):
    first = run(tmp_path)
    events: list[Event] = []
    second = run(tmp_path, resume=True, on_event=events.append)
    assert events == []
    assert second.step == 8
    assert not differing(second.weights, first.weights)


def test_a_damaged_newest_is_told_and_the_end_is_the_same(tmp_path):
    run(tmp_path / "whole")
    run(tmp_path / "parts", steps=6)
    (tmp_path / "parts" / "checkpoints" / "step-000006" / "ema.safetensors").unlink()
    events: list[Event] = []
    run(tmp_path / "parts", resume=True, on_event=events.append)
    assert isinstance(events[0], CheckpointUnusable)
    assert steps_of(events[1:], StepDone) == [4, 5, 6, 7, 8]
    assert last_checkpoint(tmp_path / "parts") == last_checkpoint(tmp_path / "whole")


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    run(tmp_path, steps=2)
    training = tiny_training()
    training.modules["network"].more = torch.nn.Linear(1, 1)
    with pytest.raises(WeightsError, match=r"step-000002: network: more.bias is missing"):
        run(tmp_path, training=training, resume=True)


def test_data_that_ends_is_an_error_of_one_line(tmp_path):
    with pytest.raises(InputError, match="the data ended in step 3"):
        run(tmp_path, data=Noise(batch_size=2, last=2))


def test_a_module_without_an_optimizer_is_no_part_of_a_checkpoint(tmp_path):
    training = tiny_training()
    training.modules["judge"] = torch.nn.Linear(1, 1)
    run(tmp_path, training=training, steps=1)
    assert "judge.safetensors" not in last_checkpoint(tmp_path)


def test_a_run_of_two_processes_is_not_resumed_by_one(tmp_path):
    run(tmp_path, steps=1)
    progress = RunProgress.read(newest(tmp_path))
    of_two = progress.model_copy(update={"positions": progress.positions * 2})
    RunFolder(tmp_path).write(step=2, arrays={}, state=of_two.model_dump())
    with pytest.raises(
        ConfigError, match="was begun with 2 processes, these are 1; resume it with"
    ):
        run(tmp_path, resume=True)


def test_a_folder_in_which_another_process_trains_is_left_alone(tmp_path):
    with RunFolder(tmp_path).locked(), pytest.raises(BusyError, match="another process trains"):
        run(tmp_path)
