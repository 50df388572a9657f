"""The contestant ``eager``: PyTorch, with attention as the published code writes it."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.machine import physical_cores
from benchmarks.tasks.transformer_files import checkpoint_in, published_network
from benchmarks.tasks.transformer_inputs import inputs_for
from benchmarks.worker import Network


def open_network(files: Path, graph: str) -> Network:  # noqa: ARG001 - all contestants are opened alike
    """Build the network that the folder ``files`` names."""
    torch.set_num_threads(physical_cores())
    network = published_network(checkpoint_in(files))

    @torch.inference_mode()
    def run(value: NDArray[np.float32]) -> NDArray[np.float32]:
        inputs = [torch.from_numpy(array) for array in inputs_for(value).values()]
        return network(*inputs).numpy()

    return run
