"""The contestant ``compile``: diffusers through torch.compile."""

from pathlib import Path

import torch

from benchmarks.tasks.diffusers_network import load_half
from benchmarks.tasks.eager import in_numpy
from benchmarks.worker import Network


def open_network(files: Path, graph: str) -> Network:
    """Load one half of the weights in ``files``; the first run compiles it, for that run's size only."""
    return in_numpy(torch.compile(load_half(files, graph), dynamic=False))
