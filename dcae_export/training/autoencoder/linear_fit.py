"""Fit the linear path of a new DC-AE by least squares, so that training starts from a transform codec.

``initialize`` leaves every residual branch at zero: what is left of the network, its changes of resolution, is linear
but for the decoder's last norm. Drawn at random, that path passes little more than the mean of a block. Here each of
its convolutions is the least-squares solution for the leading coefficients of a block transform: the DCT of the block
of pixels that a position stands for, in the order of their spread in natural pictures. The encoder's convolutions
compute them; the decoder's predict those of blocks half as wide, with the neighbours' help.

Nothing is read: the pictures of the fit are noise with the spectrum of natural pictures, amplitude 1 / frequency
(Field, "Relations between the statistics of natural images and the response properties of cortical cells", 1987).

Shape suffixes: B batch, C channels, H height, W width.
"""

import math
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcae_export.errors import ConfigError
from dcae_export.models.autoencoder import (
    IMAGE_CHANNELS,
    Autoencoder,
    AutoencoderConfig,
    Decoder,
    Downsampling,
    Encoder,
    Upsampling,
)
from dcae_export.models.layers import ConvPixelShuffle, ConvPixelUnshuffle, LatentConv
from dcae_export.training.autoencoder.block_transform import coefficients, natural_noise

# The system of a wider network takes minutes to solve.
_WIDEST: Final = 256
# What a block of 2 x 2 pixels holds. Next to the image there have to be a few channels more.
_SIGNALS: Final = 4 * IMAGE_CHANNELS
_NARROWEST: Final = _SIGNALS + 4
# With fewer, a fit would follow the noise of its pictures.
_POSITIONS_PER_UNKNOWN: Final = 10
_MOST_POSITIONS: Final = 60_000
_LATENT_SIDE: Final = 8
# A few pictures have positions enough in the layers near the image, up to blocks of 2 ** _SHALLOW pixels.
_FEW_PICTURES: Final = 12
_SHALLOW: Final = 3
# Of the mean square of the features.
_RIDGE: Final = 1e-3
# The last norm divides by what is nearly the same everywhere, thanks to channels that are this large and constant.
# Its bias then lifts the coefficients above the activation's bend.
_CONSTANT: Final = 2.0
_LIFT: Final = 1.0


def require_linear_fit(config: AutoencoderConfig) -> None:
    """Check that ``fit_linear_path`` can fit such a network.

    Raises:
        ConfigError: Its resolution changes in other ways, or its widths are out of range.
    """
    if (config.encoder.downsampling, config.decoder.upsampling) != (
        Downsampling.CONV_PIXEL_UNSHUFFLE,
        Upsampling.CONV_PIXEL_SHUFFLE,
    ):
        raise ConfigError(
            "a linear fit needs pixel-unshuffle in the encoder and pixel-shuffle in the decoder"
        )
    stages = (*config.encoder.stages, *config.decoder.stages)
    if config.encoder.stages[0].depth or config.decoder.stages[0].depth:
        raise ConfigError("a linear fit needs an empty stage next to the image")
    if max(stage.width for stage in stages) > _WIDEST:
        raise ConfigError(f"a linear fit is for networks of at most {_WIDEST} channels")
    if config.decoder.stages[1].width < _NARROWEST:
        raise ConfigError(f"a linear fit needs {_NARROWEST} channels or more next to the image")


@torch.no_grad()
def fit_linear_path(network: Autoencoder, *, seed: int) -> None:
    """Give the changes of resolution of an ``initialize``d network their fitted weights.

    Args:
        network: One that ``require_linear_fit`` lets pass, on the CPU.
        seed: Of the pictures that are drawn.
    """
    levels = len(network.config.encoder.stages) - 1
    widest = max(stage.width for stage in network.config.decoder.stages)
    count = math.ceil(9 * widest * _POSITIONS_PER_UNKNOWN / _LATENT_SIDE**2)
    generator = torch.Generator().manual_seed(seed)
    pictures = natural_noise(count, _LATENT_SIDE * 2**levels, generator=generator)
    latent = _fit_encoder(network.encoder, pictures)
    _fit_decoder(network.decoder, pictures, latent)


def _fit_encoder(encoder: Encoder, pictures: Tensor) -> Tensor:
    """The latents of the pictures."""
    downs = [part for part in encoder.modules() if isinstance(part, ConvPixelUnshuffle)]
    x = pictures[:_FEW_PICTURES]
    for level, down in enumerate(downs):
        if level == _SHALLOW + 1:
            passed = nn.Sequential(*downs[:level])
            x = torch.cat([passed(part) for part in pictures.split(_FEW_PICTURES)])
        # The shortcut adds a share of every other coefficient, which the next layer's fit takes out again.
        wanted = coefficients(pictures[: len(x)], down.conv.out_channels, level=level)
        _fit(down.conv, x, wanted, reach=0)
        x = down(x)
    # Spread as the square root of what it is in pictures: what matters most stays largest, and nothing vanishes.
    channels = encoder.conv_out.conv.out_channels
    wanted = coefficients(pictures[: len(x)], channels, level=len(downs), whitening=0.5)
    _fit_beside_shortcut(encoder.conv_out, x, wanted / wanted.std(), reach=0)
    return encoder.conv_out(x)


def _fit_decoder(decoder: Decoder, pictures: Tensor, latent: Tensor) -> None:
    # From the image on, as stages are kept, and the output after them.
    *ups, last = [part for part in decoder.modules() if isinstance(part, ConvPixelShuffle)]
    level = len(ups) + 1
    wanted = coefficients(pictures, decoder.conv_in.conv.out_channels, level=level)
    _fit_beside_shortcut(decoder.conv_in, latent, wanted, reach=1)
    x = decoder.conv_in(latent)
    for up in reversed(ups):
        level -= 1
        if level == _SHALLOW - 1:
            pictures, x = pictures[:_FEW_PICTURES], x[:_FEW_PICTURES]
        channels = up.conv.out_channels // 4
        _fit_beside_shortcut(up, x, coefficients(pictures, channels, level=level), reach=1)
        if level == 1:
            _bias(up.conv).copy_(_constants(channels).repeat_interleave(4))
        x = up(x)
    decoder.norm_out.bias.fill_(_LIFT)
    x = decoder.activation_out(decoder.norm_out(x))
    mean = x.mean(dim=(0, 2, 3))
    _fit(last.conv, x - mean[:, None, None], F.pixel_unshuffle(pictures, 2), reach=1)
    _bias(last.conv).copy_(-last.conv.weight.sum(dim=(2, 3)) @ mean)


def _constants(channels: int) -> Tensor:
    """(C,): zero for a block's coefficients, and of the other channels half are constant."""
    constants = torch.zeros(channels)
    constants[_SIGNALS : _SIGNALS + (channels - _SIGNALS) // 2] = _CONSTANT
    return constants


def _fit_beside_shortcut(
    part: LatentConv | ConvPixelShuffle, x_BCHW: Tensor, wanted: Tensor, *, reach: int
) -> None:
    """Fit a convolution so that with the shortcut beside it the sum is what is wanted."""
    part.conv.weight.zero_()
    missing = wanted - part(x_BCHW)
    if isinstance(part, ConvPixelShuffle):
        missing = F.pixel_unshuffle(missing, 2)
    _fit(part.conv, x_BCHW, missing, reach=reach)


def _fit(conv: nn.Conv2d, x_BCHW: Tensor, wanted_BCHW: Tensor, *, reach: int) -> None:
    """Set a 3x3 convolution's weights to the ridge regression of ``wanted`` on ``x``, and its biases to 0.

    ``reach`` is how far it looks: 0 for a position alone, 1 for its neighbours as well.
    """
    side = 2 * reach + 1
    rows = F.unfold(x_BCHW, side, padding=reach).transpose(1, 2).flatten(0, 1)
    targets = wanted_BCHW.flatten(2).transpose(1, 2).flatten(0, 1)
    stride = math.ceil(len(rows) / _MOST_POSITIONS)
    rows, targets = rows[::stride].double(), targets[::stride].double()
    squares = rows.T @ rows
    squares.diagonal().add_(_RIDGE * squares.diagonal().mean())
    weight = torch.linalg.solve(squares, rows.T @ targets).T.float()
    conv.weight.zero_()
    middle = slice(1 - reach, 2 + reach)
    conv.weight[:, :, middle, middle] = weight.unflatten(1, (conv.in_channels, side, side))
    _bias(conv).zero_()


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias
