"""The learning rate over the steps: a linear warm-up, then constant."""

from dataclasses import dataclass

from dcae_export.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class WarmUp:
    """From ``start`` times the learning rate to the learning rate, in ``steps`` steps."""

    steps: int
    start: float

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ConfigError(f"a warm-up of {self.steps} steps: 0 or more are possible")
        if not 0 <= self.start <= 1:
            raise ConfigError(f"a warm-up from {self.start} times the learning rate: 0 to 1")

    def factor(self, step: int) -> float:
        """What the learning rate is multiplied with at ``step``, counted from 0."""
        if step >= self.steps:
            return 1.0
        return self.start + (1 - self.start) * step / self.steps
