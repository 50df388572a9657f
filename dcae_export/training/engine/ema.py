"""Averages of the weights over the steps, which are what a training publishes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dcae_export.errors import ConfigError
from dcae_export.training.engine.whole_tensors import put


@dataclass(frozen=True, kw_only=True, slots=True)
class EMASettings:
    """How slowly an average follows: the weight of the past is ``decay`` (1 - exp(-n / ``warm_up``)) at update n."""

    decay: float
    warm_up: float

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ConfigError(f"an EMA's decay of {self.decay}: 0 to less than 1")
        if not self.warm_up > 0:
            raise ConfigError(f"an EMA's warm-up of {self.warm_up} updates: more than 0")


class EMA:
    """The exponential moving average of a module's trained parameters.

    What is not trained is what it is, and running statistics are averages already: buffers and frozen
    parameters have no average of their own, so a published network takes the module's.
    """

    def __init__(self, module: nn.Module, settings: EMASettings) -> None:
        """Begin with the module's parameters as they are; they may be shards (FSDP2)."""
        trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.averages = {name: p.detach().clone() for name, p in trained.items()}
        self.updates = 0
        self._settings = settings
        self._parameters: list[Tensor] = list(trained.values())

    @torch.no_grad()
    def update(self) -> None:
        """Follow the parameters, which have just moved."""
        self.updates += 1
        warmth = -math.expm1(-self.updates / self._settings.warm_up)
        weight = 1 - self._settings.decay * warmth
        averages = list(self.averages.values())
        torch._foreach_lerp_(averages, self._parameters, weight)  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage] - all in one call

    def load(self, averages: Mapping[str, Tensor], *, updates: int) -> None:
        """Continue from whole tensors, as many and as large as ``averages``."""
        for name, average in self.averages.items():
            put(averages[name], average)
        self.updates = updates
