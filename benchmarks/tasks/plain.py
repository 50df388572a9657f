"""The contestant ``plain``: torch's own export of diffusers, run by ONNX Runtime with default options."""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.worker import Network


def open_network(files: Path, graph: str) -> Network:
    """Open ``graph`` in the folder ``files``."""
    session = onnxruntime.InferenceSession(
        files / f"{graph}.onnx", providers=["CPUExecutionProvider"]
    )
    source = session.get_inputs()[0].name

    def run(value: NDArray[np.float32]) -> NDArray[np.float32]:
        return session.run(None, {source: value})[0]

    return run
