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
    first = files.graph.inputs[0].name
    records: list[ParityRecord] = []
    for case in cases:
        found = difference(session.run(case.inputs)[output.name], case.expected)
        label = f"{case.name} {list(case.inputs[first].shape)}"
        if not found.within(tolerance):
            raise ParityError(
                f"{files.path.name}: {label}: {found}; allowed are relative "
                f"L2 {tolerance.relative_l2:.0e} and max abs {tolerance.max_abs:.0e} of the range"
            )
        records.append(
            ParityRecord(
                graph=graph,
                input=label,
                reference=f"PyTorch {torch.__version__} float32",
                runtime=f"ONNX Runtime {installed_version()} cpu",
                max_abs=found.max_abs,
                relative_l2=found.relative_l2,
                psnr_db=found.psnr_db,
                tolerance=Bound(
                    relative_l2=tolerance.relative_l2,
                    max_abs=tolerance.max_abs,
                    because=tolerance.because,
                ),
                verdict="passed",
            )
        )
    return records
