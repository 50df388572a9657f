"""The contestant ``bundle``: our graph of a transformer, opened as the runtime opens it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks.transformer_inputs import inputs_for
from benchmarks.worker import Network
from dcae_export.bundle.manifest import Graph
from dcae_export.bundle.reader import GraphFiles
from dcae_export.runtime.session import Session

GRAPH = "graph.json"


def open_network(files: Path, graph: str) -> Network:
    """Open ``graph`` in the folder ``files``."""
    record = Graph.model_validate_json((files / GRAPH).read_text(encoding="utf-8"))
    path = files / f"{graph}.onnx"
    session = Session(
        GraphFiles(
            model=path.read_bytes(),
            path=path,
            data=tuple(files / name for name in record.data),
            graph=record,
        )
    )

    def run(value: NDArray[np.float32]) -> NDArray[np.float32]:
        return session.run(inputs_for(value))["output"].astype(np.float32, copy=False)

    return run
