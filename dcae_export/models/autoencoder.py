"""DC-AE, the deep-compression autoencoder: configuration and networks.

What is notable:
- deterministic: no KL, no sampling; ``encode`` is the encoder's output, ``decode`` the decoder's;
- a shortcut without weights around every change of resolution (see ``layers``);
- convolutional stages at high resolution, linear attention at low resolution;
- no norm before a branch: each residual branch ends in its norm.

Shape suffixes: B batch, C channels, H height, W width, z latent channels, h and w the latent grid.
"""

import enum
from dataclasses import dataclass
from typing import assert_never

from torch import Tensor, nn

from dcae_export.errors import ConfigError
from dcae_export.models.attention import HEAD_DIM, EfficientViTBlock
from dcae_export.models.layers import (
    ConvPixelShuffle,
    ConvPixelUnshuffle,
    InterpolateConv,
    LatentConv,
    ResBlock,
    RMSNorm2d,
    StridedConv,
)

IMAGE_CHANNELS = 3


class Norm(enum.Enum):
    """The norm at the end of a residual convolution block."""

    RMS = "rms"
    BATCH = "batch"


class Activation(enum.Enum):
    """The nonlinearity of a convolution block."""

    RELU = "relu"
    SILU = "silu"


class Downsampling(enum.Enum):
    """How the encoder halves the resolution between two stages."""

    CONV_PIXEL_UNSHUFFLE = "conv-pixel-unshuffle"
    STRIDED_CONV = "strided-conv"


class Upsampling(enum.Enum):
    """How the decoder doubles the resolution between two stages."""

    CONV_PIXEL_SHUFFLE = "conv-pixel-shuffle"
    INTERPOLATE_CONV = "interpolate-conv"


@dataclass(frozen=True, kw_only=True, slots=True)
class ResStage:
    """``depth`` residual convolution blocks of ``width`` channels; depth 0 is a stage that is skipped."""

    width: int
    depth: int
    norm: Norm = Norm.RMS
    activation: Activation = Activation.SILU


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionStage:
    """``depth`` EfficientViT blocks of ``width`` channels; ``scales`` are kernel sizes of extra q, k, v."""

    width: int
    depth: int
    scales: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.width % HEAD_DIM:
            raise ConfigError(f"attention stage: width {self.width} is no multiple of {HEAD_DIM}")


Stage = ResStage | AttentionStage


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConfig:
    """Stages from the image side to the latent side."""

    stages: tuple[Stage, ...]
    downsampling: Downsampling
    latent_shortcut: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderConfig:
    """Stages from the image side to the latent side, as for the encoder: they run last to first."""

    stages: tuple[Stage, ...]
    upsampling: Upsampling
    latent_shortcut: bool
    out_activation: Activation


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoencoderConfig:
    """Everything that fixes the networks' parameters, and the latent's scale for diffusion.

    ``scaling_factor`` is 1 / RMS of the latents of the training data, None where it is not published.
    """

    encoder: EncoderConfig
    decoder: DecoderConfig
    latent_channels: int
    scaling_factor: float | None

    def __post_init__(self) -> None:
        if len(self.encoder.stages) != len(self.decoder.stages):
            raise ConfigError("encoder and decoder have different numbers of stages")
        for side in (self.encoder, self.decoder):
            if any(stage.depth == 0 for stage in side.stages[1:]):
                raise ConfigError("only the stage next to the image may be empty")
            if side.latent_shortcut and side.stages[-1].width % self.latent_channels:
                raise ConfigError(
                    f"the latent shortcut needs the last width ({side.stages[-1].width}) "
                    f"to be a multiple of latent_channels ({self.latent_channels})"
                )

    @property
    def downsample(self) -> int:
        """Pixels of the image per position of the latent, along each side."""
        return 2 ** (len(self.encoder.stages) - 1)


def _norm(kind: Norm, channels: int) -> nn.Module:
    match kind:
        case Norm.RMS:
            return RMSNorm2d(channels)
        case Norm.BATCH:
            return nn.BatchNorm2d(channels)
        case _:
            assert_never(kind)


def _activation(kind: Activation) -> nn.Module:
    match kind:
        case Activation.RELU:
            return nn.ReLU()
        case Activation.SILU:
            return nn.SiLU()
        case _:
            assert_never(kind)


def _blocks(stage: Stage) -> list[nn.Module]:
    match stage:
        case ResStage():
            return [
                ResBlock(
                    stage.width,
                    norm=_norm(stage.norm, stage.width),
                    activation=_activation(stage.activation),
                )
                for _ in range(stage.depth)
            ]
        case AttentionStage():
            return [EfficientViTBlock(stage.width, scales=stage.scales) for _ in range(stage.depth)]
        case _:
            assert_never(stage)


def _down(kind: Downsampling, in_channels: int, out_channels: int, *, shortcut: bool) -> nn.Module:
    match kind:
        case Downsampling.CONV_PIXEL_UNSHUFFLE:
            return ConvPixelUnshuffle(in_channels, out_channels, shortcut=shortcut)
        case Downsampling.STRIDED_CONV:
            return StridedConv(in_channels, out_channels, shortcut=shortcut)
        case _:
            assert_never(kind)


def _up(kind: Upsampling, in_channels: int, out_channels: int, *, shortcut: bool) -> nn.Module:
    match kind:
        case Upsampling.CONV_PIXEL_SHUFFLE:
            return ConvPixelShuffle(in_channels, out_channels, shortcut=shortcut)
        case Upsampling.INTERPOLATE_CONV:
            return InterpolateConv(in_channels, out_channels, shortcut=shortcut)
        case _:
            assert_never(kind)


class Encoder(nn.Module):
    """Image (B, 3, H, W) in [-1, 1] to raw latent (B, z, H / downsample, W / downsample)."""

    def __init__(self, config: EncoderConfig, *, latent_channels: int) -> None:
        super().__init__()
        first, *rest = config.stages
        if first.depth:
            self.conv_in = nn.Conv2d(IMAGE_CHANNELS, first.width, 3, padding=1)
        else:
            self.conv_in = _down(config.downsampling, IMAGE_CHANNELS, rest[0].width, shortcut=False)
        self.stages = nn.ModuleList()
        for stage, following in zip(config.stages, [*rest, None], strict=True):
            blocks = _blocks(stage)
            if blocks and following is not None:
                blocks.append(
                    _down(config.downsampling, stage.width, following.width, shortcut=True)
                )
            self.stages.append(nn.Sequential(*blocks))
        self.conv_out = LatentConv(
            config.stages[-1].width, latent_channels, shortcut=config.latent_shortcut
        )

    def forward(self, image_BCHW: Tensor) -> Tensor:
        x = self.conv_in(image_BCHW)
        for stage in self.stages:
            x = stage(x)
        return self.conv_out(x)


class Decoder(nn.Module):
    """Raw latent (B, z, h, w) to image (B, 3, h * downsample, w * downsample), not clamped."""

    def __init__(self, config: DecoderConfig, *, latent_channels: int) -> None:
        super().__init__()
        first, *rest = config.stages
        self.conv_in = LatentConv(
            latent_channels, config.stages[-1].width, shortcut=config.latent_shortcut
        )
        self.stages = nn.ModuleList()
        for stage, deeper in zip(config.stages, [*rest, None], strict=True):
            blocks = _blocks(stage)
            if blocks and deeper is not None:
                blocks.insert(0, _up(config.upsampling, deeper.width, stage.width, shortcut=True))
            self.stages.append(nn.Sequential(*blocks))
        width = first.width if first.depth else rest[0].width
        self.norm_out = RMSNorm2d(width)
        self.activation_out = _activation(config.out_activation)
        if first.depth:
            self.conv_out = nn.Conv2d(width, IMAGE_CHANNELS, 3, padding=1)
        else:
            self.conv_out = _up(config.upsampling, width, IMAGE_CHANNELS, shortcut=False)

    def forward(self, latent_Bzhw: Tensor) -> Tensor:
        x = self.conv_in(latent_Bzhw)
        for stage in reversed(self.stages):
            x = stage(x)
        return self.conv_out(self.activation_out(self.norm_out(x)))


class Autoencoder(nn.Module):
    """Encoder and decoder of one configuration."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder, latent_channels=config.latent_channels)
        self.decoder = Decoder(config.decoder, latent_channels=config.latent_channels)

    def encode(self, image_BCHW: Tensor) -> Tensor:
        """Image (B, 3, H, W) in [-1, 1] to raw latent (B, z, h, w)."""
        return self.encoder(image_BCHW)

    def decode(self, latent_Bzhw: Tensor) -> Tensor:
        """Raw latent (B, z, h, w) to image (B, 3, H, W), not clamped."""
        return self.decoder(latent_Bzhw)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return self.decode(self.encode(image_BCHW))
