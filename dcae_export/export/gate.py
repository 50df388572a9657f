"""The parity gate: a graph is published only if its saved file computes what PyTorch computes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dcae_export.bundle.manifest import Bound, GraphName, ParityRecord
from dcae_export.bundle.reader import GraphFiles
from dcae_export.errors import ExportError, ParityError
from dcae_export.parity import Tolerance, difference
from dcae_export.runtime.provider import installed_version
from dcae_export.runtime.session import Session


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """Inputs of the gate, by the names of the graph's ports, and what PyTorch in float32 makes of them."""

    name: str
    inputs: dict[str, NDArray[np.generic]]
    expected: NDArray[np.generic]

    @property
    def label(self) -> str:
        """The name and the first input's shape."""
        first = next(iter(self.inputs.values()), self.expected)
        return f"{self.name} {list(first.shape)}"

    def tensors(self) -> dict[str, Tensor]:
        """The inputs for PyTorch, in the order of the module's arguments."""
        return {port: torch.as_tensor(array) for port, array in self.inputs.items()}


@torch.no_grad()
def reference_case(module: nn.Module, name: str, inputs: Mapping[str, Tensor]) -> Case:
    """Run the unchanged module on ``inputs``, which stand in the order of its arguments.

    Raises:
        ExportError: Its output is not finite, so no graph of it can be right.
    """
    expected = module(*inputs.values())
    if not torch.isfinite(expected).all():
        raise ExportError(
            f"PyTorch's own output for {name} is not finite; the weights are unusable"
        )
    arrays = {port: value.numpy() for port, value in inputs.items()}
    return Case(name=name, inputs=arrays, expected=expected.numpy())


def judge(
    files: GraphFiles, cases: Sequence[Case], *, graph: GraphName, tolerance: Tolerance
) -> list[ParityRecord]:
    """Run the saved file through the project's own Session and compare.

    Returns:
        What was measured, one record for each case.

    Raises:
        ParityError: A case differs by more than ``tolerance``; the message says where it is worst.
    """
    session = Session(files)
    (output,) = files.graph.outputs
    return [
        compare(
            session.run(case.inputs)[output.name],
            case,
            graph=graph,
            file=files.path.name,
            runtime=f"ONNX Runtime {installed_version()} cpu",
            tolerance=tolerance,
        )
        for case in cases
    ]


def compare(
    actual: NDArray[np.generic],
    case: Case,
    *,
    graph: GraphName,
    file: str,
    runtime: str,
    tolerance: Tolerance,
) -> ParityRecord:
    """Hold a result to what a case expects.

    Raises:
        ParityError: It differs by more than ``tolerance``; the message says where it is worst.
    """
    found = difference(actual, case.expected)
    if not found.within(tolerance):
        raise ParityError(f"{file}: {case.label}: {found}; allowed are {tolerance}")
    return ParityRecord(
        graph=graph,
        input=case.label,
        reference=f"PyTorch {torch.__version__} float32",
        runtime=runtime,
        max_abs=found.max_abs,
        relative_l2=found.relative_l2,
        psnr_db=found.psnr_db,
        cosine=None if tolerance.cosine is None else found.cosine,
        tolerance=Bound(
            relative_l2=tolerance.relative_l2,
            max_abs=tolerance.max_abs,
            because=tolerance.because,
            psnr_db=tolerance.psnr_db,
            cosine=tolerance.cosine,
        ),
        verdict="passed",
    )
