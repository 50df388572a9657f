"""Which blocks of a network are float16 in a mixed graph."""

from dataclasses import dataclass

from dcae_export.bundle.manifest import Fp32Block

FLOAT16_MAX = 65504.0
# Calibration sees some activations, not all that there will be: the upper three quarters of the range are left to those.
CALIBRATED_MAX = FLOAT16_MAX / 4


@dataclass(frozen=True, kw_only=True, slots=True)
class PrecisionPlan:
    """Which blocks of a network are float16 and which float32, by their names in the module.

    Inside of a float16 block the reductions of norms, the sums and the division of the linear attention and softmax
    are float32, wherever it stands. ``fp16`` and ``fp32`` together name every block.
    """

    fp16: tuple[str, ...]
    fp32: tuple[Fp32Block, ...]
