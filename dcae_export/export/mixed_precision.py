"""Put a module into a mixed precision: calibrate, decide for each block, and prove what the result costs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dcae_export.bundle.manifest import Fp32Block, GraphName, ParityRecord
from dcae_export.errors import ExportError
from dcae_export.export.calibration import calibrate
from dcae_export.export.gate import Case, compare, reference_case
from dcae_export.export.passes.cast_blocks import CastBlock, cast_blocks
from dcae_export.export.precision_blocks import blocks_of, network_of
from dcae_export.export.precision_plan import CALIBRATED_MAX, FLOAT16_MAX, PrecisionPlan
from dcae_export.export.trajectory import SAMPLER, Trajectory, spread
from dcae_export.parity import FP16_TRAJECTORY, Tolerance
from dcae_export.sampling.table import Array

# How far beyond what the data give a block is still to be in float16's range.
BEYOND = 10.0
# Evaluations of a trajectory that calibration sees, from noise to data.
_CALIBRATED_EVALUATIONS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class SmallCases:
    """What a module computed in float32 on small grids; of a transformer the run of a sampler, too.

    ``end`` is the latent that the run came to, ``evaluations`` what the network was given on the way.
    """

    cases: Sequence[Case]
    trajectory: Trajectory | None
    end: Array | None
    evaluations: Mapping[str, Mapping[str, Tensor]]

    def calibration(self) -> list[Mapping[str, Tensor]]:
        """Inputs as the data give them, and beyond."""
        seen = [*(case.tensors() for case in self.cases), *self.evaluations.values()]
        return [*seen, *map(beyond, seen)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixed:
    """What became of a module in a mixed precision.

    ``parity`` is what its float16 costs, ``rounded`` what it gives in float32 with its weights in float16, for each of
    the graph's own cases.
    """

    plan: PrecisionPlan
    parity: Sequence[ParityRecord]
    rounded: Sequence[NDArray[np.generic]]


def small_cases(
    module: nn.Module,
    inputs: Mapping[str, Mapping[str, Tensor]],
    trajectory: Trajectory | None,
) -> SmallCases:
    """Run the unchanged module on small inputs, and a transformer through a whole sampler.

    Raises:
        ExportError: An output is not finite.
        ParityError: A state of the sampler is not finite.
    """
    cases = [reference_case(module, name, case) for name, case in inputs.items()]
    end, calls = (None, []) if trajectory is None else trajectory.run(module)
    return SmallCases(
        cases=cases,
        trajectory=trajectory,
        end=end,
        evaluations=spread(calls, count=min(_CALIBRATED_EVALUATIONS, len(calls))),
    )


def mix(
    module: nn.Module,
    small: SmallCases,
    cases: Sequence[Case],
    *,
    graph: GraphName,
    tolerance: Tolerance,
) -> Mixed:
    """Bring ``module`` into a mixed precision, in place, and hold it to float32 as PyTorch runs it on the CPU.

    PyTorch's own float16 rounds and overflows, which ONNX Runtime's on the CPU does not.

    Args:
        module: A rewritten module in float32.
        small: What it gave before.
        cases: The graph's own.
        graph: For messages and records.
        tolerance: For each small case; that of a sampler's run is ``FP16_TRAJECTORY``.

    Raises:
        ExportError: No block fits in float16.
        ParityError: The module differs from float32 by more than a bound, or is not finite.
    """
    network = network_of(module)
    blocks = blocks_of(network)
    free = cast_blocks(network, blocks.free)
    cast_blocks(network, blocks.fixed)
    plan = _plan(calibrate(module, free, small.calibration()), blocks.fixed, graph=graph)
    half = [free[name] for name in plan.fp16]
    _to_dtype(half, torch.float16)
    parity = _judge(module, small, graph=graph, tolerance=tolerance)
    _to_dtype(half, torch.float32)
    rounded = [_run(module, case) for case in cases]
    _to_dtype(half, torch.float16)
    return Mixed(plan=plan, parity=parity, rounded=rounded)


def beyond(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Latents ten times as far from 0; pictures, whose range is bounded, as black and white."""
    return {name: _beyond(name, value) for name, value in inputs.items()}


def _beyond(name: str, value: Tensor) -> Tensor:
    if name == "latent":
        return BEYOND * value
    if name != "image":
        return value
    if value.dtype is torch.uint8:
        return torch.where(value > 127, 255, 0).to(torch.uint8)
    return torch.where(value > 0, 1.0, -1.0)


def _plan(found: Mapping[str, float], fixed: Sequence[str], *, graph: GraphName) -> PrecisionPlan:
    wide = {name: most for name, most in found.items() if not most <= CALIBRATED_MAX}
    if len(wide) == len(found):
        raise ExportError(
            f"{graph}: activations of every block reach {min(wide.values()):.3g} or more, of float16's "
            f"{FLOAT16_MAX:.0f}; export it with --precision fp32"
        )
    return PrecisionPlan(
        fp16=tuple(name for name in found if name not in wide),
        fp32=(
            *(Fp32Block(block=name, max_abs=most) for name, most in wide.items()),
            *(Fp32Block(block=name, max_abs=None) for name in fixed),
        ),
    )


def _judge(
    module: nn.Module, small: SmallCases, *, graph: GraphName, tolerance: Tolerance
) -> list[ParityRecord]:
    runtime = f"PyTorch {torch.__version__} cpu, float16 as in the graph"
    found = [(case, _run(module, case), tolerance) for case in small.cases]
    if small.trajectory is not None and small.end is not None:
        whole = Case(name=f"a run of {SAMPLER}", inputs={}, expected=small.end)
        found.append((whole, small.trajectory.run(module)[0], FP16_TRAJECTORY))
    return [
        compare(actual, case, graph=graph, file=graph, runtime=runtime, tolerance=bound)
        for case, actual, bound in found
    ]


@torch.no_grad()
def _run(module: nn.Module, case: Case) -> NDArray[np.generic]:
    return module(*case.tensors().values()).numpy()


def _to_dtype(blocks: Iterable[CastBlock], dtype: torch.dtype) -> None:
    for block in blocks:
        block.to_dtype(dtype)
