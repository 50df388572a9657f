"""Starting values for training from scratch, the same for the same seed on every device."""

import math
from typing import assert_never

import torch
from torch import Tensor, nn

from dcae_export.models.attention import EfficientViTBlock
from dcae_export.models.autoencoder import Autoencoder
from dcae_export.models.dit import DiT
from dcae_export.models.initialization import (
    initialize_dit_for_training,
    initialize_uvit_for_training,
)
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
from dcae_export.training.discriminator import PatchDiscriminator

_DISCRIMINATOR_STD = 0.02
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


def initialize_transformer(network: DiT | UViT, *, seed: int) -> None:
    """Draw a diffusion transformer's weights as its authors do."""
    generator = torch.Generator().manual_seed(seed)
    match network:
        case DiT():
            initialize_dit_for_training(network, generator=generator)
        case UViT():
            initialize_uvit_for_training(network, generator=generator)
        case _:
            assert_never(network)


@torch.no_grad()
def initialize_discriminator(discriminator: PatchDiscriminator, *, seed: int) -> None:
    """Draw a discriminator's weights as image-to-image translation does (arXiv 1611.07004, appendix 6.2).

    Convolutions are normal with a standard deviation of 0.02, norms' weights too, around 1; biases are 0.
    """
    generator = torch.Generator().manual_seed(seed)
    for part in discriminator.modules():
        if isinstance(part, nn.Conv2d | nn.BatchNorm2d):
            mean = 1.0 if isinstance(part, nn.BatchNorm2d) else 0.0
            _draw(part.weight, mean=mean, std=_DISCRIMINATOR_STD, generator=generator)
            _zero_bias(part)


def _start(part: nn.Module, *, generator: torch.Generator) -> None:
    """Give a layer unit gain, or make a norm neutral."""
    match part:
        case nn.Conv2d() | nn.Linear():
            std = 1.0 / math.sqrt(part.weight[0].numel())
            _draw(part.weight, mean=0.0, std=std, generator=generator)
            _zero_bias(part)
        case nn.BatchNorm2d() | nn.GroupNorm():
            part.reset_parameters()
        case RMSNorm2d():
            part.weight.fill_(1.0)
            part.bias.zero_()
        case _:
            pass


def _draw(tensor: Tensor, *, mean: float, std: float, generator: torch.Generator) -> None:
    """Fill a tensor on any device with numbers that are drawn on the CPU."""
    tensor.copy_(mean + std * torch.randn(tensor.shape, generator=generator))


def _zero_bias(layer: nn.Conv2d | nn.Linear | nn.BatchNorm2d) -> None:
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
