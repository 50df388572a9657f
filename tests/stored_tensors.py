"""Changes of a safetensors file."""

from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor


def rewrite(path: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    """Store the file's tensors again after ``change`` has seen them."""
    # Read tensors lie in the file's own memory, which is written over.
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    change(tensors)
    save_file(tensors, path)
