"""The published autoencoders, by name.

Widths, depths and block types: the released configurations of DC-AE 1.0, SANA's autoencoders, DC-AE Lite
and DC-AE 1.5. "in" was trained on ImageNet, "mix" on a mixture: one graph, other weights and scaling factor.

"sd" are the baselines, SD-VAE. Of sd-f32 and sd-f64 (SD-VAE-f32c32 and SD-VAE-f64c128 in DC-AE, arXiv
2410.10733, trained by its authors) neither weights nor widths were published: here sd-f8's last width goes on.
"""

import difflib
from dataclasses import dataclass

from dcae_export.errors import UsageError
from dcae_export.models.autoencoder import (
    Activation,
    AttentionStage,
    AutoencoderConfig,
    DecoderConfig,
    Downsampling,
    EncoderConfig,
    Norm,
    ResStage,
    Stage,
    Upsampling,
)
from dcae_export.models.network import NetworkConfig
from dcae_export.models.sd_vae_config import SDVAEConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """A published autoencoder: its configuration and the repository of its official weights, None without any."""

    config: NetworkConfig
    repository: str | None
    summary: str


def _res(widths: tuple[int, ...], depths: tuple[int, ...]) -> tuple[Stage, ...]:
    return tuple(ResStage(width=w, depth=d) for w, d in zip(widths, depths, strict=True))


def _batch(widths: tuple[int, ...], depths: tuple[int, ...]) -> tuple[Stage, ...]:
    return tuple(
        ResStage(width=w, depth=d, norm=Norm.BATCH, activation=Activation.RELU)
        for w, d in zip(widths, depths, strict=True)
    )


def _attention(
    widths: tuple[int, ...], depth: int, scales: tuple[int, ...] = ()
) -> tuple[Stage, ...]:
    return tuple(AttentionStage(width=w, depth=depth, scales=scales) for w in widths)


_DEEP_WIDTHS = {6: (512, 1024, 1024), 7: (512, 1024, 1024, 2048), 8: (512, 1024, 1024, 2048, 2048)}
_SANA_WIDTHS = (128, 256, 512, 512, 1024, 1024)


def _dc_ae_1_0(
    num_stages: int, latent_channels: int, scaling_factor: float | None
) -> AutoencoderConfig:
    deep = _attention(_DEEP_WIDTHS[num_stages], 2)
    return AutoencoderConfig(
        encoder=EncoderConfig(
            stages=_res((128, 256, 512), (0, 4, 8)) + deep,
            downsampling=Downsampling.CONV_PIXEL_UNSHUFFLE,
            latent_shortcut=True,
        ),
        decoder=DecoderConfig(
            stages=_batch((128, 256, 512), (0, 5, 10)) + deep,
            upsampling=Upsampling.CONV_PIXEL_SHUFFLE,
            latent_shortcut=True,
            out_activation=Activation.RELU,
        ),
        latent_channels=latent_channels,
        scaling_factor=scaling_factor,
    )


_SANA_ENCODER = EncoderConfig(
    stages=_res((128, 256, 512), (2, 2, 2)) + _attention((512, 1024, 1024), 3, (5,)),
    downsampling=Downsampling.STRIDED_CONV,
    latent_shortcut=True,
)
_SANA = AutoencoderConfig(
    encoder=_SANA_ENCODER,
    decoder=DecoderConfig(
        stages=_res((128, 256, 512), (3, 3, 3)) + _attention((512, 1024, 1024), 3, (5,)),
        upsampling=Upsampling.INTERPOLATE_CONV,
        latent_shortcut=True,
        out_activation=Activation.RELU,
    ),
    latent_channels=32,
    scaling_factor=0.41407,
)
_LITE = AutoencoderConfig(
    encoder=_SANA_ENCODER,
    decoder=DecoderConfig(
        stages=_res(_SANA_WIDTHS, (0, 3, 5, 4, 4, 4)),
        upsampling=Upsampling.CONV_PIXEL_SHUFFLE,
        latent_shortcut=True,
        out_activation=Activation.SILU,
    ),
    latent_channels=32,
    scaling_factor=0.41407,
)


def _dc_ae_1_5(widths: tuple[int, ...], scaling_factor: float | None) -> AutoencoderConfig:
    stages = _res(widths, (0, 5, 10, 4, 4, 4, 4)[: len(widths)])
    return AutoencoderConfig(
        encoder=EncoderConfig(
            stages=stages, downsampling=Downsampling.CONV_PIXEL_UNSHUFFLE, latent_shortcut=False
        ),
        decoder=DecoderConfig(
            stages=stages,
            upsampling=Upsampling.CONV_PIXEL_SHUFFLE,
            latent_shortcut=False,
            out_activation=Activation.SILU,
        ),
        latent_channels=128,
        scaling_factor=scaling_factor,
    )


_DEMO_WIDTHS = (16, 32, 64, 64, 128, 128, 128)
_DEMO_DEPTHS = (0, 1, 1, 1)
_DEMO_DEEP = _attention(_DEMO_WIDTHS[4:], 1)
_DEMO = AutoencoderConfig(
    encoder=EncoderConfig(
        stages=_res(_DEMO_WIDTHS[:4], _DEMO_DEPTHS) + _DEMO_DEEP,
        downsampling=Downsampling.CONV_PIXEL_UNSHUFFLE,
        latent_shortcut=True,
    ),
    decoder=DecoderConfig(
        stages=_batch(_DEMO_WIDTHS[:4], _DEMO_DEPTHS) + _DEMO_DEEP,
        upsampling=Upsampling.CONV_PIXEL_SHUFFLE,
        latent_shortcut=True,
        out_activation=Activation.RELU,
    ),
    latent_channels=64,
    scaling_factor=None,
)


def _sd_vae(num_stages: int, latent_channels: int, scaling_factor: float | None) -> SDVAEConfig:
    return SDVAEConfig(
        block_out_channels=(128, 256) + (512,) * (num_stages - 2),
        latent_channels=latent_channels,
        scaling_factor=scaling_factor,
    )


PRESETS: dict[str, Preset] = {
    "dc-ae-f32c32-in-1.0": Preset(
        config=_dc_ae_1_0(6, 32, 0.3189),
        repository="mit-han-lab/dc-ae-f32c32-in-1.0",
        summary="32x, 32 channels, ImageNet",
    ),
    "dc-ae-f32c32-in-1.0-256px": Preset(
        config=_dc_ae_1_0(6, 32, None),
        repository="mit-han-lab/dc-ae-f32c32-in-1.0-256px",
        summary="32x, 32 channels, ImageNet at 256 px",
    ),
    "dc-ae-f32c32-mix-1.0": Preset(
        config=_dc_ae_1_0(6, 32, 0.4552),
        repository="mit-han-lab/dc-ae-f32c32-mix-1.0",
        summary="32x, 32 channels, mixture",
    ),
    "dc-ae-f64c128-in-1.0": Preset(
        config=_dc_ae_1_0(7, 128, 0.2889),
        repository="mit-han-lab/dc-ae-f64c128-in-1.0",
        summary="64x, 128 channels, ImageNet",
    ),
    "dc-ae-f64c128-mix-1.0": Preset(
        config=_dc_ae_1_0(7, 128, 0.4538),
        repository="mit-han-lab/dc-ae-f64c128-mix-1.0",
        summary="64x, 128 channels, mixture",
    ),
    "dc-ae-f128c512-in-1.0": Preset(
        config=_dc_ae_1_0(8, 512, 0.4883),
        repository="mit-han-lab/dc-ae-f128c512-in-1.0",
        summary="128x, 512 channels, ImageNet",
    ),
    "dc-ae-f128c512-mix-1.0": Preset(
        config=_dc_ae_1_0(8, 512, 0.3620),
        repository="mit-han-lab/dc-ae-f128c512-mix-1.0",
        summary="128x, 512 channels, mixture",
    ),
    "dc-ae-f32c32-sana-1.0": Preset(
        config=_SANA,
        repository="mit-han-lab/dc-ae-f32c32-sana-1.0",
        summary="32x, 32 channels, SANA",
    ),
    "dc-ae-f32c32-sana-1.1": Preset(
        config=_SANA,
        repository="mit-han-lab/dc-ae-f32c32-sana-1.1",
        summary="32x, 32 channels, SANA, decoder retrained",
    ),
    "dc-ae-lite-f32c32-sana-1.1": Preset(
        config=_LITE,
        repository="dc-ai/dc-ae-lite-f32c32",
        summary="32x, 32 channels, SANA's latents, decoder without attention",
    ),
    "dc-ae-f32c128-1.5": Preset(
        config=_dc_ae_1_5(_SANA_WIDTHS, None),
        repository="dc-ai/dc-ae-f32c128-1.5",
        summary="32x, 128 channels, DC-AE 1.5",
    ),
    "dc-ae-f64c128-1.5": Preset(
        config=_dc_ae_1_5((*_SANA_WIDTHS, 1024), 0.5935),
        repository="dc-ai/dc-ae-f64c128-1.5",
        summary="64x, 128 channels, DC-AE 1.5",
    ),
    "dc-ae-f64c64-demo": Preset(
        config=_DEMO,
        repository=None,
        summary="64x, 64 channels, small, for drawn pictures, with a U-ViT",
    ),
    "sd-f8": Preset(
        config=_sd_vae(4, 4, 0.18215),
        repository="stabilityai/sd-vae-ft-ema",
        summary="8x, 4 channels, SD-VAE",
    ),
    "sd-f32": Preset(
        config=_sd_vae(6, 32, None),
        repository=None,
        summary="32x, 32 channels, SD-VAE without residual autoencoding",
    ),
    "sd-f64": Preset(
        config=_sd_vae(7, 128, None),
        repository=None,
        summary="64x, 128 channels, SD-VAE without residual autoencoding",
    ),
}

SHORT_NAMES: dict[str, str] = {
    "f32": "dc-ae-f32c32-in-1.0",
    "f64": "dc-ae-f64c128-in-1.0",
    "f128": "dc-ae-f128c512-in-1.0",
    "f64-demo": "dc-ae-f64c64-demo",
}


def preset_name(variant: str) -> str:
    """The full name for a full or short one.

    Raises:
        UsageError: No such variant; the message names the nearest and lists them.
    """
    name = SHORT_NAMES.get(variant, variant)
    if name not in PRESETS:
        names = [*SHORT_NAMES, *PRESETS]
        near = difflib.get_close_matches(variant.lower(), names, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"unknown variant {variant!r}; {hint}There are {', '.join(names)}")
    return name
