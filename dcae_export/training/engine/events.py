"""What a training tells while it runs, on the main process alone."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class StepDone:
    """The optimizers have moved.

    ``step`` of ``steps`` are done. ``losses`` are means over the step's samples, ``gradient_norms`` the L2 norms
    before clipping by the name of the module, ``learning_rate`` that of the network's first group of parameters.
    ``samples_per_second`` counts all processes. ``skipped`` counts every step of the run that was skipped.
    """

    step: int
    steps: int
    losses: dict[str, float]
    gradient_norms: dict[str, float]
    learning_rate: float
    samples_per_second: float
    seconds_left: float
    skipped: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StepSkipped:
    """A loss or a gradient norm of the step, both as in ``StepDone``, is not finite: nothing has moved.

    ``in_a_row`` counts the steps that bring the run nearer to its end; it stays where float16's loss scale
    was the reason and could be lowered.
    """

    step: int
    losses: dict[str, float]
    gradient_norms: dict[str, float]
    in_a_row: int
    skipped: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointWritten:
    """A checkpoint of ``step`` steps stands whole at ``path``."""

    step: int
    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointUnusable:
    """A checkpoint is damaged, as ``reason`` says; an older one takes its place."""

    path: Path
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Pictures before and after the network: float32 (B, 3, H, W) in [-1, 1], on the CPU."""

    step: int
    images: Tensor
    reconstructions: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A line that a person wants to read: which perceptual term is used, what was left out."""

    text: str


Event = StepDone | StepSkipped | CheckpointWritten | CheckpointUnusable | Sample | Note
