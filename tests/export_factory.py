"""Random modules, graphs written by hand, and one autoencoder that exports in seconds."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import random_modules
import torch
from onnx import parser
from onnx.reference import ReferenceEvaluator
from random_modules import Part
from skimage import data
from torch import Tensor, nn

from dcae_export.parity import Tolerance, difference
from runtimes.conformance.bundles import AUTOENCODER

FLOAT64 = Tolerance(
    relative_l2=1e-12,
    max_abs=1e-12,
    because="float64 in another summation order: about 1e-15 for one layer",
)

# A DC-AE 1.0 of one halving: every kind of its layers, at a size that is traced in seconds.
TINY = AUTOENCODER


def randomized(module: Part) -> Part:
    """``module`` in float64 with no tensor at a neutral value."""
    return random_modules.randomized(module).double()


def output(module: nn.Module, x: Tensor) -> np.ndarray:
    """What the module computes, as an array."""
    with torch.no_grad():
        return module(x).numpy()


def assert_equal(actual: np.ndarray, expected: np.ndarray) -> None:
    """Hold two float64 results to the tolerance of an exact simplification."""
    found = difference(actual, expected)
    assert found.within(FLOAT64), str(found)


def graph(text: str, *, opset: int = 18) -> ir.Model:
    """A model from ONNX's textual syntax: ``(inputs) => (outputs) <values and constants> { nodes }``."""
    header = f'<ir_version: 10, opset_import: ["" : {opset}]> graph '
    return ir.from_proto(parser.parse_model(header + text))


def run(model: ir.Model, **inputs: np.ndarray) -> list[np.ndarray]:
    """Run a graph with ONNX's reference evaluator."""
    return ReferenceEvaluator(ir.to_proto(model)).run(None, inputs)


def operators(model: ir.Model) -> list[str]:
    """The graph's operators, in order."""
    return [node.op_type for node in model.graph]


def text(model: ir.Model) -> bytes:
    """The graph as it would be saved, to see whether anything changed."""
    return ir.to_proto(model).SerializeToString(deterministic=True)


def photographs(batch: int, height: int, width: int) -> np.ndarray:
    """Crops of real photographs, of which no two are alike: (batch, height, width, 3) uint8."""
    pictures = (data.astronaut(), data.coffee())
    crops = []
    for index in range(batch):
        picture = pictures[index % len(pictures)]
        top = (picture.shape[0] - height) // (index + 1)
        left = (picture.shape[1] - width) // 2
        crops.append(picture[top : top + height, left : left + width])
    return np.stack(crops)


def files(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` by its relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
