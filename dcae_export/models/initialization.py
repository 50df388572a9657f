"""Starting values for parameters: the transformers' for training, and random ones that hide nothing from a comparison."""

import math
import zlib

import numpy as np
import torch
from torch import Tensor, nn

from dcae_export.models.dit import DiT
from dcae_export.models.uvit import UViT

TRANSFORMER_STD = 0.02
# Vectors that are looked up or added, not multiplied by: they are of the size of what they join.
_VECTORS = ("embedding_table.weight", "pos_embed")


@torch.no_grad()
def initialize_dit_for_training(dit: DiT, *, generator: torch.Generator | None = None) -> None:
    """Draw weights as DiT does (arXiv 2212.09748, section 3.2): every block starts as the identity, the output as 0.

    Xavier for linear layers and the patches' convolution, a normal distribution for labels and timesteps, zeros
    for all modulations and the final layer.
    """
    for part in dit.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            # A convolution over patches is a linear layer on a patch's values.
            nn.init.xavier_uniform_(part.weight.flatten(1), generator=generator)
            _zero_bias(part)
        elif isinstance(part, nn.Embedding):
            part.weight.normal_(0.0, TRANSFORMER_STD, generator=generator)
    for parameter in dit.t_embedder.parameters():
        if parameter.ndim > 1:
            parameter.normal_(0.0, TRANSFORMER_STD, generator=generator)
    for name, parameter in dit.named_parameters():
        if "adaLN_modulation" in name or name.startswith("final_layer.linear"):
            parameter.zero_()


@torch.no_grad()
def initialize_uvit_for_training(uvit: UViT, *, generator: torch.Generator | None = None) -> None:
    """Draw weights as U-ViT does: linear layers and positions normal, of a standard deviation of 0.02.

    Labels and the patches' convolution are as PyTorch draws them: standard normal, and uniform with the bound
    1 / sqrt(fan in).
    """
    uvit.pos_embed.normal_(0.0, TRANSFORMER_STD, generator=generator)
    for part in uvit.modules():
        if isinstance(part, nn.Linear):
            part.weight.normal_(0.0, TRANSFORMER_STD, generator=generator)
            _zero_bias(part)
        elif isinstance(part, nn.Conv2d):
            bound = 1.0 / math.sqrt(part.weight[0].numel())
            part.weight.uniform_(-bound, bound, generator=generator)
            _zero_bias(part)
        elif isinstance(part, nn.Embedding):
            part.weight.normal_(0.0, 1.0, generator=generator)
        elif isinstance(part, nn.LayerNorm):
            part.weight.fill_(1.0)
            part.bias.zero_()


def _zero_bias(layer: nn.Linear | nn.Conv2d) -> None:
    if layer.bias is not None:  # pyright: ignore[reportUnnecessaryComparison] - typed as always there
        layer.bias.zero_()


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
