"""Where a graph will run: one frozen row per target."""

import enum
from dataclasses import dataclass
from typing import Literal

TargetName = Literal["generic", "cpu", "cuda", "tensorrt", "web"]


class RMSNormForm(enum.Enum):
    """How an RMS norm over channels stands in the graph."""

    ELEMENTWISE = "elementwise"
    """A reduction over the channel axis and elementwise operators; no transposes."""
    OPERATOR = "operator"
    """RMSNormalization of opset 23 between two transposes, which a channels-last runtime cancels."""


class TimeInput(enum.Enum):
    """What a transformer's graph is given for the time."""

    TIMESTEP = "timestep"
    """The time itself; the graph makes sines and cosines of it."""
    FEATURES = "features"
    """The sines and cosines, from a file of the bundle: WebGPU's own are off by 2e-4."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a runtime can run, and what it runs fastest."""

    opset: int
    rms_norm: RMSNormForm
    time_input: TimeInput = TimeInput.TIMESTEP


# generic and tensorrt: RMSNormalization needs opset 23, which TensorRT's parser lacks before 10.15 and many
# mobile runtimes lack today. cpu: see docs/log.md for the measurements behind its row.
TARGETS: dict[TargetName, Target] = {
    "generic": Target(opset=18, rms_norm=RMSNormForm.ELEMENTWISE),
    "cpu": Target(opset=18, rms_norm=RMSNormForm.ELEMENTWISE),
    "cuda": Target(opset=23, rms_norm=RMSNormForm.OPERATOR),
    "tensorrt": Target(opset=18, rms_norm=RMSNormForm.ELEMENTWISE),
    "web": Target(opset=23, rms_norm=RMSNormForm.OPERATOR, time_input=TimeInput.FEATURES),
}
