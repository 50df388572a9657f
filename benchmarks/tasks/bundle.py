"""The contestant ``bundle``: our Session, opened as the runtime opens it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.worker import Network
from dcae_export.bundle.reader import Bundle
from dcae_export.runtime.session import Session


def open_network(files: Path, graph: str) -> Network:
    """Open one graph of the bundle in ``files``."""
    session = Session(Bundle.open(files).check_graph(graph))
    source, result = session.graph.inputs[0].name, session.graph.outputs[0].name

    def run(value: NDArray[np.float32]) -> NDArray[np.float32]:
        return session.run({source: value})[result].astype(np.float32, copy=False)

    return run
