"""The contestant ``eager``: diffusers as it is."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.machine import physical_cores
from benchmarks.tasks.diffusers_network import load_half
from benchmarks.worker import Network


def open_network(files: Path, graph: str) -> Network:
    """Load one half of the weights in ``files``."""
    return in_numpy(load_half(files, graph))


def in_numpy(network: nn.Module) -> Network:
    """Call ``network`` with arrays; no element is copied on the way."""
    torch.set_num_threads(physical_cores())

    @torch.inference_mode()
    def run(value: NDArray[np.float32]) -> NDArray[np.float32]:
        result: Tensor = network(torch.from_numpy(value))
        return result.numpy()

    return run
