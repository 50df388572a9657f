"""Starting values for training from scratch, the same for the same seed on every device."""

import math
from typing import assert_never

import torch
from torch import nn

from dcae_export.models.attention import EfficientViTBlock
from dcae_export.models.autoencoder import Autoencoder
from dcae_export.models.dit import DiT
from dcae_export.models.layers import (
    ConvPixelShuffle,
    ConvPixelUnshuffle,
    InterpolateConv,
    LatentConv,
    ResBlock,
    RMSNorm2d,
    StridedConv,
)
from dcae_export.models.network import Network
from dcae_export.models.sd_vae import SDVAE
from dcae_export.models.uvit import UViT

_TRANSFORMER_STD = 0.02
# Where the residual branches of diffusers' blocks and attention end.
_BRANCH_ENDS = (".conv2.weight", ".to_out.0.weight")


@torch.no_grad()
def initialize(network: Network, *, seed: int) -> None:
    """Draw an autoencoder's weights so that it starts as a linear path that already reconstructs.

    - Convolutions and linear layers are normal with unit gain: they keep the mean square of their input. Biases
      are 0, norms neutral.
    - Residual branches end in 0: every block starts as the identity.
    - Around a change of resolution or of the latent's width, where the signal is the sum of a shortcut and a
      convolution, the convolution adds what the shortcut takes from white noise: averaging g values leaves 1/g of
      its mean square, and the convolution's gain is sqrt(1 - 1/g); duplicating leaves all of it, and the gain is 0.
    """
    generator = torch.Generator().manual_seed(seed)
    for part in network.modules():
        _start(part, generator=generator)
    match network:
        case Autoencoder():
            for part in network.modules():
                _end_branch(part)
        case SDVAE():
            for name, parameter in network.named_parameters():
                if name.endswith(_BRANCH_ENDS):
                    parameter.zero_()
        case _:
            assert_never(network)


@torch.no_grad()
def initialize_transformer(network: DiT | UViT, *, seed: int) -> None:
    """Draw a diffusion transformer's weights as its authors do."""
    generator = torch.Generator().manual_seed(seed)
    match network:
        case DiT():
            _start_dit(network, generator=generator)
        case UViT():
            _start_uvit(network, generator=generator)
        case _:
            assert_never(network)


def _start_dit(dit: DiT, *, generator: torch.Generator) -> None:
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
            part.weight.normal_(0.0, _TRANSFORMER_STD, generator=generator)
    for parameter in dit.t_embedder.parameters():
        if parameter.ndim > 1:
            parameter.normal_(0.0, _TRANSFORMER_STD, generator=generator)
    for name, parameter in dit.named_parameters():
        if "adaLN_modulation" in name or name.startswith("final_layer.linear"):
            parameter.zero_()


def _start_uvit(uvit: UViT, *, generator: torch.Generator) -> None:
    """Draw weights as U-ViT does: linear layers and positions normal, of a standard deviation of 0.02.

    Labels and the patches' convolution are as PyTorch draws them: standard normal, and uniform with the bound
    1 / sqrt(fan in).
    """
    uvit.pos_embed.normal_(0.0, _TRANSFORMER_STD, generator=generator)
    for part in uvit.modules():
        if isinstance(part, nn.Linear):
            part.weight.normal_(0.0, _TRANSFORMER_STD, generator=generator)
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


def _start(part: nn.Module, *, generator: torch.Generator) -> None:
    """Give a layer unit gain, or make a norm neutral."""
    match part:
        case nn.Conv2d() | nn.Linear():
            std = 1.0 / math.sqrt(part.weight[0].numel())
            # Drawn on the CPU, the same for every device.
            part.weight.copy_(std * torch.randn(part.weight.shape, generator=generator))
            _zero_bias(part)
        case nn.BatchNorm2d() | nn.GroupNorm():
            part.reset_parameters()
        case RMSNorm2d():
            part.weight.fill_(1.0)
            part.bias.zero_()
        case _:
            pass


def _zero_bias(layer: nn.Conv2d | nn.Linear) -> None:
    if layer.bias is not None:  # pyright: ignore[reportUnnecessaryComparison] - typed as always there
        layer.bias.zero_()


def _end_branch(part: nn.Module) -> None:
    """Give a branch of DC-AE that has a shortcut beside it the share that the shortcut leaves."""
    match part:
        case ResBlock():
            part.norm.get_parameter("weight").zero_()
        case EfficientViTBlock():
            part.attention.norm.weight.zero_()
            part.mlp.norm.weight.zero_()
        case ConvPixelUnshuffle() | StridedConv() | LatentConv() if part.shortcut:
            part.conv.weight.mul_(math.sqrt(1.0 - 1.0 / _averaged(part)))
        case ConvPixelShuffle() | InterpolateConv() if part.shortcut:
            part.conv.weight.zero_()
        case _:
            pass


def _averaged(part: ConvPixelUnshuffle | StridedConv | LatentConv) -> float:
    """How many values the shortcut averages into one; 1 where it duplicates."""
    conv = part.conv
    values = conv.in_channels if isinstance(part, LatentConv) else 4 * conv.in_channels
    results = 4 * conv.out_channels if isinstance(part, ConvPixelUnshuffle) else conv.out_channels
    return max(values / results, 1.0)
