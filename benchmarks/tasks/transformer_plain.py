"""The contestant ``plain``: torch's own export of the published form, run by ONNX Runtime with default options."""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.tasks.transformer_inputs import inputs_for
from benchmarks.worker import Network


def open_network(files: Path, graph: str) -> Network:
    """Open ``graph`` in the folder ``files``."""
    session = onnxruntime.InferenceSession(
        files / f"{graph}.onnx", providers=["CPUExecutionProvider"]
    )

    def run(value: NDArray[np.float32]) -> NDArray[np.float32]:
        return session.run(None, inputs_for(value))[0]

    return run
