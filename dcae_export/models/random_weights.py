"""Random weights that hide nothing from a comparison of outputs."""

import math
import zlib

import numpy as np
import torch
from torch import Tensor, nn

# Vectors that are looked up or added, not multiplied by: they are of the size of what they join.
_VECTORS = ("embedding_table.weight", "pos_embed")


def random_state(module: nn.Module, *, seed: int) -> dict[str, Tensor]:
    """Random values for every parameter and buffer of ``module``, whose tensors may be on the meta device.

    No tensor is left at a neutral value (norm weights 1 +- 0.2, biases and running means +- 0.1, running
    variances 0.5 to 1.5; embeddings and learned positions standard normal): with default initialisation most biases, norm weights and running statistics can
    be dropped without any change of the output, and a comparison of outputs would prove nothing.
    A tensor depends on the seed and its own name only, so a decoder alone draws the same values.
    """
    return {name: _random(name, tensor, seed=seed) for name, tensor in module.state_dict().items()}


def _random(name: str, tensor: Tensor, *, seed: int) -> Tensor:
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    shape = tuple(tensor.shape)
    if name.endswith("num_batches_tracked"):
        return torch.tensor(int(rng.integers(1, 1000)))
    if name.endswith("running_var"):
        return torch.as_tensor(rng.uniform(0.5, 1.5, shape).astype(np.float32))
    if len(shape) == 1:
        centre, spread = (1.0, 0.2) if name.endswith("weight") else (0.0, 0.1)
        drawn = rng.uniform(centre - spread, centre + spread, shape)
        return torch.as_tensor(drawn.astype(np.float32))
    drawn = rng.standard_normal(shape, dtype=np.float32)
    if not name.endswith(_VECTORS):
        drawn *= np.float32(1.0 / math.sqrt(math.prod(shape[1:])))
    return torch.as_tensor(drawn)
