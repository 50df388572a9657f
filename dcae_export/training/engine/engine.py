"""Run a training: steps, checkpoints, and the same end whatever happens on the way.

Hugging Face Accelerate carries each step to one process, to several (DDP), to shards of a network (FSDP2) and
to several machines; ``accelerate launch`` says which, and nothing here depends on it.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor
from torch.optim import Optimizer

from dcae_export.errors import CancelledError, ConfigError, InputError, TrainingError
from dcae_export.training.engine.checkpoint import Checkpoint
from dcae_export.training.engine.components import Components
from dcae_export.training.engine.events import (
    CheckpointWritten,
    Event,
    Note,
    Sample,
    StepDone,
    StepSkipped,
)
from dcae_export.training.engine.interruption import Interruption
from dcae_export.training.engine.pace import Pace
from dcae_export.training.engine.processes import Processes
from dcae_export.training.engine.progress import RunProgress
from dcae_export.training.engine.protocols import NETWORK, AnyBatch, Data, Training
from dcae_export.training.engine.run_folder import RunFolder
from dcae_export.training.engine.settings import EngineSettings
from dcae_export.training.engine.state import unchanged_random_states
from dcae_export.training.engine.update import BufferGuard, Verdict, adjust_scale, judge, move
from dcae_export.training.engine.worker_death import WorkerKilledError, told_of_killed_workers

_STOPPING = Note(
    text="told to stop: will do so after this step, with a checkpoint; a second signal stops at once, without"
)

_Batches = Iterator[tuple[AnyBatch, dict[str, int]]]
_Tell = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A run that came to its end.

    ``weights`` are the network's, by the names of its state dict, whole and on the CPU: averages where they are
    kept, the rest as it is. On processes other than the main one they are empty.
    """

    step: int
    skipped: int
    weights: dict[str, Tensor]


def train(
    training: Training[AnyBatch],
    data: Data[AnyBatch],
    settings: EngineSettings,
    folder: RunFolder,
    *,
    resume: bool,
    on_event: _Tell,
) -> Outcome:
    """Train to the last step.

    On the CPU and in one process, a run that was killed and resumed ends with the bits of one that was not, if
    ``data`` gives equal batches from equal positions. torch's own generators are seeded; one process of several
    has ``settings.seed`` plus its rank. All processes need to see ``folder``; the main one writes it.

    Args:
        training: What is trained; its modules are wrapped in place.
        data: What it is trained with.
        settings: The course of the run.
        folder: Where its checkpoints are.
        resume: Continue from the newest checkpoint, or from the beginning where there is none.
        on_event: Is told what happens, on the main process.

    Raises:
        InputError: The folder has checkpoints and ``resume`` is off, or cannot be used; or the data ended.
        WeightsError: No checkpoint is whole, or they are of another training.
        ConfigError: The run was begun with another number of processes.
        ProviderError: float16 was asked for where it cannot be computed.
        BusyError: Another process trains in this folder.
        ResourceError: A checkpoint found too little room on the disk.
        TrainingError: Losses or gradients were not finite in ``max_skipped`` steps in a row.
        CancelledError: SIGINT or SIGTERM came; a checkpoint was written, unless a worker was killed with it.
    """
    processes = Processes(settings.precision, accumulation=settings.accumulation)
    with ExitStack() as stack:
        if processes.is_main:
            stack.enter_context(folder.locked())
        tell = on_event if processes.is_main else _tell_nobody
        interruption = stack.enter_context(Interruption(lambda: tell(_STOPPING)))
        checkpoint = _beginning(processes, folder, resume=resume, tell=tell)
        run = _Run(processes, training, settings, folder, tell)
        if checkpoint is not None:
            run.resume(checkpoint)
        try:
            with told_of_killed_workers():
                run.to_the_end(data, interruption)
        except WorkerKilledError as error:
            if not interruption.requested:
                raise
            raise CancelledError(
                f"stopped within a step, which is lost; resume {folder.path}"
            ) from error
        return run.outcome()


def _tell_nobody(_: Event) -> None:
    pass


def _beginning(
    processes: Processes, folder: RunFolder, *, resume: bool, tell: _Tell
) -> Checkpoint | None:
    """The checkpoint that every process begins with, chosen by the main one."""
    newest = folder.newest(tell) if processes.is_main else None
    if newest is not None and not resume:
        raise InputError(
            f"{folder.path}: holds a run of {newest.step} steps; resume it, or choose another folder"
        )
    return processes.from_main(newest)


class _Run(Generic[AnyBatch]):
    """A training on its way; ``step`` steps are done."""

    def __init__(
        self,
        processes: Processes,
        training: Training[AnyBatch],
        settings: EngineSettings,
        folder: RunFolder,
        tell: _Tell,
    ) -> None:
        torch.manual_seed(settings.seed + processes.rank)  # pyright: ignore[reportUnknownMemberType] - half typed
        self._processes = processes
        self._training = training
        self._settings = settings
        self._folder = folder
        self._tell = tell
        self._components = Components(processes, training, settings.ema)
        self._buffers = BufferGuard(self._components.plain.values())
        self._rates = {
            name: [float(group["lr"]) for group in optimizer.param_groups]
            for name, optimizer in training.optimizers.items()
        }
        self._pace = Pace()
        self._position: dict[str, int] = {}
        self._written: Checkpoint | None = None
        self._step = self._skipped = self._in_a_row = 0

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint."""
        progress = RunProgress.read(checkpoint)
        processes = self._processes
        if len(progress.positions) != processes.count:
            raise ConfigError(
                f"{self._folder.path}: was begun with {len(progress.positions)} processes, these are "
                f"{processes.count}; resume it with as many"
            )
        self._components.load(checkpoint, updates=progress.updates)
        if processes.scaler is not None and progress.scaler is not None:
            processes.scaler.load_state_dict(progress.scaler)
        self._position = progress.positions[processes.rank]
        self._step, self._skipped = progress.step, progress.skipped
        self._in_a_row = progress.skipped_in_a_row
        self._written = checkpoint

    def to_the_end(self, data: Data[AnyBatch], interruption: Interruption) -> None:
        """Take the steps that are left; a checkpoint stands at the end of them."""
        settings = self._settings
        batches = data.batches(self._position)
        while self._step < settings.steps:
            told_to_stop = self._take_step(batches, interruption).interrupted
            last = self._step == settings.steps
            if last or told_to_stop or self._step % settings.checkpoint_every == 0:
                self._write()
            if told_to_stop and not last:
                raise CancelledError(
                    f"stopped after step {self._step} of {settings.steps}; resume {self._folder.path}"
                )
            every = settings.sample_every
            if every is not None and (last or self._step % every == 0):
                self._draw_sample()

    def outcome(self) -> Outcome:
        """What the run came to."""
        weights = self._components.published()
        return Outcome(step=self._step, skipped=self._skipped, weights=weights)

    def _take_step(self, batches: _Batches[AnyBatch], interruption: Interruption) -> Verdict:
        active = self._active()
        self._buffers.keep()
        losses, samples = self._accumulate(batches)
        verdict = judge(
            self._processes,
            losses,
            active,
            clip_norm=self._settings.clip_norm,
            interrupted=interruption.requested,
        )
        self._step += 1
        self._pace.step(samples=samples * self._processes.count)
        if verdict.is_finite:
            self._move(active, verdict)
        else:
            self._skip(verdict)
        # Those of optimizers that stand still, too.
        for optimizer in self._components.optimizers.values():
            optimizer.zero_grad()
        return verdict

    def _active(self) -> dict[str, Optimizer]:
        """The optimizers that move at this step, at its learning rate."""
        active = {
            name: optimizer
            for name, optimizer in self._components.optimizers.items()
            if self._training.is_active(name, step=self._step)
        }
        factor = self._settings.warm_up.factor(self._step)
        for name, optimizer in active.items():
            for group, rate in zip(optimizer.param_groups, self._rates[name], strict=True):
                group["lr"] = rate * factor
        return active

    def _accumulate(self, batches: _Batches[AnyBatch]) -> tuple[dict[str, Tensor], int]:
        """Add up the gradients of the step's batches; their losses' means, and how many samples they held."""
        sums: dict[str, Tensor] = {}
        samples = 0
        for _ in range(self._settings.accumulation):
            batch = self._next_batch(batches)
            samples += len(batch)
            with self._processes.accumulate(self._components.wrapped):
                losses = self._training.backward(
                    batch, step=self._step, accelerator=self._processes.accelerator
                )
            for name, loss in losses.items():
                sums[name] = sums[name] + loss.detach() if name in sums else loss.detach()
        return {name: total / self._settings.accumulation for name, total in sums.items()}, samples

    def _next_batch(self, batches: _Batches[AnyBatch]) -> AnyBatch:
        # Loaders take a seed from torch's generator when they begin, which a resumed run does at another step.
        with unchanged_random_states(torch.device("cpu")):
            item = next(batches, None)
        if item is None:
            raise InputError(f"the data ended in step {self._step + 1}; it has to go on for ever")
        batch, self._position = item
        return batch.to(self._processes.device, non_blocking=True)

    def _move(self, active: dict[str, Optimizer], verdict: Verdict) -> None:
        move(self._processes, active)
        if self._components.ema is not None:
            self._components.ema.update()
        self._in_a_row = 0
        steps, pace = self._settings.steps, self._pace
        rate: float = self._components.optimizers[NETWORK].param_groups[0]["lr"]
        self._tell(
            StepDone(
                step=self._step,
                steps=steps,
                losses=verdict.losses,
                gradient_norms=verdict.gradient_norms,
                learning_rate=rate,
                samples_per_second=pace.samples_per_second,
                seconds_left=(steps - self._step) * pace.seconds_per_step,
                skipped=self._skipped,
            )
        )

    def _skip(self, verdict: Verdict) -> None:
        self._buffers.restore()
        self._skipped += 1
        # A loss scale that has room below is float16's normal course.
        lowered = adjust_scale(self._processes)
        if not (lowered and verdict.losses_are_finite):
            self._in_a_row += 1
        self._tell(
            StepSkipped(
                step=self._step,
                losses=verdict.losses,
                gradient_norms=verdict.gradient_norms,
                in_a_row=self._in_a_row,
                skipped=self._skipped,
            )
        )
        if self._in_a_row >= self._settings.max_skipped:
            raise TrainingError(
                f"step {self._step}: a loss or a gradient was not finite in {self._in_a_row} steps in a row; "
                + _last_good(self._written)
            )

    def _write(self) -> None:
        """Write a checkpoint: every process gathers, the main one writes, and none goes on before."""
        components, scaler = self._components, self._processes.scaler
        arrays = components.arrays()
        positions = self._processes.gather(self._position)
        written = None
        if self._processes.is_main:
            progress = RunProgress(
                step=self._step,
                updates=0 if components.ema is None else components.ema.updates,
                skipped=self._skipped,
                skipped_in_a_row=self._in_a_row,
                positions=positions,
                scaler=None if scaler is None else scaler.state_dict(),
            )
            written = self._folder.write(
                step=self._step, arrays=arrays, state=progress.model_dump()
            )
            self._tell(CheckpointWritten(step=self._step, path=written.path))
        self._written = self._processes.from_main(written)

    def _draw_sample(self) -> None:
        with torch.no_grad(), unchanged_random_states(self._processes.device):
            shown = self._training.sample(accelerator=self._processes.accelerator)
        if shown is None:
            return
        images, reconstructions = shown
        self._tell(
            Sample(
                step=self._step,
                images=images.float().cpu(),
                reconstructions=reconstructions.float().cpu(),
            )
        )


def _last_good(checkpoint: Checkpoint | None) -> str:
    if checkpoint is None:
        return "no checkpoint was written yet; lower the learning rate and begin again"
    return f"the last good checkpoint is {checkpoint.path}; lower the learning rate and resume"
