"""How a training runs, whatever it trains."""

import enum
from dataclasses import dataclass

from dcae_export.errors import ConfigError
from dcae_export.training.engine.ema import EMASettings
from dcae_export.training.engine.learning_rate import WarmUp


class Precision(enum.Enum):
    """In which numbers the networks compute; weights, optimizers and averages are float32 in any case."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineSettings:
    """The course of a run.

    ``steps`` is where it ends, counted from its very beginning. A step takes ``accumulation`` batches on each
    process. ``clip_norm`` bounds the L2 norm of each module's gradients; None leaves them. Without ``ema`` no
    averages are kept. A checkpoint is written every ``checkpoint_every`` steps and at the end, a sample is drawn
    every ``sample_every`` steps; None draws none. ``max_skipped`` steps in a row may be skipped before the run
    gives up.
    """

    steps: int
    accumulation: int
    precision: Precision
    clip_norm: float | None
    warm_up: WarmUp
    ema: EMASettings | None
    seed: int
    checkpoint_every: int
    sample_every: int | None
    max_skipped: int

    def __post_init__(self) -> None:
        counts = {
            "steps": self.steps,
            "accumulation": self.accumulation,
            "checkpoint_every": self.checkpoint_every,
            "sample_every": 1 if self.sample_every is None else self.sample_every,
            "max_skipped": self.max_skipped,
        }
        for name, count in counts.items():
            if count < 1:
                raise ConfigError(f"{name} is {count}: 1 or more is possible")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ConfigError(f"clip_norm is {self.clip_norm}: more than 0 is possible")
