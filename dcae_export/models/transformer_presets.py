"""The diffusion transformers that were published with DC-AE, their backbones and the demo's, by name.

Widths, depths, samplers and guidance: the released configurations of DC-AE 1.0's diffusion models, all for the
1000 classes of ImageNet at 512 pixels.
"""

import dataclasses
import enum
from dataclasses import dataclass
from typing import assert_never

from dcae_export.errors import UsageError
from dcae_export.models.dit import DiTConfig
from dcae_export.models.presets import PRESETS, preset_name
from dcae_export.models.uvit import UViTConfig
from dcae_export.sampling.schedule import Diffusion, Schedule

NUM_CLASSES = 1000
TRAINED_PIXELS = 512
# The authors' step is adaptive. Half a dozen fixed tables end within 1e-3 of it on random weights, where it takes 50
# evaluations (docs/log.md); trained flows bend more, so this one takes as many.
USIT_SAMPLER = "dopri5:48"
SD_F8 = "sd-f8"


@dataclass(frozen=True, kw_only=True, slots=True)
class TransformerPreset:
    """A diffusion transformer on the latents of one autoencoder.

    ``autoencoder`` is a preset's name, whose scaling factor applies. ``repository`` holds its weights, and those
    of the autoencoder, in the official layout; None is a backbone without published weights.
    """

    config: DiTConfig | UViTConfig
    diffusion: Diffusion
    default_sampler: str
    default_guidance: float
    autoencoder: str
    repository: str | None
    summary: str


class Family(enum.Enum):
    """A network and what it was trained to predict."""

    DIT = "DiT"
    UVIT = "U-ViT"
    USIT = "U-ViT with the flow of SiT"


@dataclass(frozen=True, kw_only=True, slots=True)
class Backbone:
    """The size of a network, apart from the latents that it is for."""

    family: Family
    depth: int
    width: int
    heads: int
    guidance: float = 1.5


BACKBONES: dict[str, Backbone] = {
    "dit-s": Backbone(family=Family.DIT, depth=12, width=384, heads=6),
    "dit-b": Backbone(family=Family.DIT, depth=12, width=768, heads=12),
    "dit-l": Backbone(family=Family.DIT, depth=24, width=1024, heads=16),
    "dit-xl": Backbone(family=Family.DIT, depth=28, width=1152, heads=16, guidance=1.3),
    "uvit-s": Backbone(family=Family.UVIT, depth=12, width=512, heads=8),
    "uvit-s-deep": Backbone(family=Family.UVIT, depth=16, width=512, heads=8),
    "uvit-m": Backbone(family=Family.UVIT, depth=16, width=768, heads=12),
    "uvit-l": Backbone(family=Family.UVIT, depth=20, width=1024, heads=16),
    "uvit-h": Backbone(family=Family.UVIT, depth=28, width=1152, heads=16),
    "uvit-2b": Backbone(family=Family.UVIT, depth=28, width=2048, heads=32),
    # The demo's: with its autoencoder within 12 MB as fp16. Deeper and narrower, it takes longer for as many weights.
    "usit-demo": Backbone(family=Family.USIT, depth=4, width=176, heads=4, guidance=3.0),
    "usit-h": Backbone(family=Family.USIT, depth=28, width=1152, heads=16, guidance=1.2),
    "usit-2b": Backbone(family=Family.USIT, depth=28, width=2048, heads=32, guidance=1.15),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Latents:
    autoencoder: str
    channels: int
    downsample: int
    patch: int


def default_patch(autoencoder: str) -> int:
    """The side of a token on an autoencoder's latents: the paper's baseline compresses what SD-VAE leaves by two."""
    return 2 if autoencoder == SD_F8 else 1


def _latents(autoencoder: str) -> _Latents:
    name = preset_name(autoencoder)
    config = PRESETS[name].config
    return _Latents(
        autoencoder=name,
        channels=config.latent_channels,
        downsample=config.downsample,
        patch=default_patch(name),
    )


_DIT = Diffusion(
    prediction="epsilon",
    learned_variance=True,
    schedule=Schedule(kind="linear", beta_start=1e-4, beta_end=0.02, train_steps=1000, shift=1.0),
)
_UVIT = Diffusion(
    prediction="epsilon",
    learned_variance=False,
    schedule=Schedule(
        kind="scaled_linear", beta_start=0.00085, beta_end=0.012, train_steps=1000, shift=1.0
    ),
)
# The network is given the time itself, from 0 (noise) to 1 (data).
_USIT = Diffusion(
    prediction="velocity",
    learned_variance=False,
    schedule=Schedule(kind="flow", beta_start=None, beta_end=None, train_steps=1000, shift=1.0),
)


def diffusion_of(family: Family) -> tuple[Diffusion, str]:
    """What a family is trained to predict, and the sampler that its results were published with."""
    match family:
        case Family.DIT:
            return _DIT, "ddpm:250"
        case Family.UVIT:
            return _UVIT, "dpmpp-singlestep:30"
        case Family.USIT:
            return _USIT, USIT_SAMPLER
        case _:
            assert_never(family)


def configure(
    backbone: Backbone,
    *,
    channels: int,
    grid: tuple[int, int],
    patch: int,
    num_classes: int | None,
) -> DiTConfig | UViTConfig:
    """A backbone on latents of ``channels`` and a ``grid`` of (rows, columns); None is no classes.

    Raises:
        ConfigError: The sizes do not go together.
    """
    match backbone.family:
        case Family.DIT:
            return DiTConfig(
                in_channels=channels,
                patch=patch,
                depth=backbone.depth,
                width=backbone.width,
                heads=backbone.heads,
                num_classes=num_classes,
                grid=grid,
                learned_variance=True,
            )
        case Family.UVIT | Family.USIT:
            return UViTConfig(
                in_channels=channels,
                patch=patch,
                depth=backbone.depth,
                width=backbone.width,
                heads=backbone.heads,
                num_classes=num_classes,
                grid=grid,
            )
        case _:
            assert_never(backbone.family)


def _unpublished(name: str, latents: _Latents) -> TransformerPreset:
    backbone = BACKBONES[name]
    diffusion, sampler = diffusion_of(backbone.family)
    side = TRAINED_PIXELS // latents.downsample
    return TransformerPreset(
        config=configure(
            backbone,
            channels=latents.channels,
            grid=(side, side),
            patch=latents.patch,
            num_classes=NUM_CLASSES,
        ),
        diffusion=diffusion,
        default_sampler=sampler,
        default_guidance=backbone.guidance,
        autoencoder=latents.autoencoder,
        repository=None,
        summary=f"{name} on {latents.autoencoder}, no published weights",
    )


def _published(autoencoder: str, name: str, training: str = "") -> tuple[str, TransformerPreset]:
    full = f"{autoencoder}-{name}-in-{TRAINED_PIXELS}px{training}"
    preset = dataclasses.replace(
        _unpublished(name, _latents(autoencoder)),
        repository=f"mit-han-lab/{full}",
        summary=f"{name} on {autoencoder}, ImageNet at {TRAINED_PIXELS} px",
    )
    return full, preset


_F32, _F64 = "dc-ae-f32c32-in-1.0", "dc-ae-f64c128-in-1.0"
TRANSFORMERS: dict[str, TransformerPreset] = dict(
    [
        _published(_F32, "dit-xl"),
        _published(_F32, "dit-xl", "-trainbs1024"),
        _published(_F32, "uvit-s"),
        _published(_F32, "uvit-h"),
        _published(_F32, "uvit-2b"),
        _published(_F32, "usit-h"),
        _published(_F32, "usit-2b"),
        _published(_F64, "uvit-h"),
        _published(_F64, "uvit-h", "-train2000k"),
        _published(_F64, "uvit-2b"),
        _published(_F64, "uvit-2b", "-train2000k"),
    ]
)


def transformer_name(name: str, *, autoencoder: str) -> str:
    """The full name for a backbone or a published transformer on an autoencoder's latents.

    A backbone stands for the published transformer of that size where there is one (of several the one without
    a training's suffix), and else is named AUTOENCODER-BACKBONE.

    Raises:
        UsageError: No such transformer or autoencoder, or a transformer for other latents.
    """
    latents = _latents(autoencoder)
    if name in TRANSFORMERS:
        wanted = TRANSFORMERS[name].autoencoder
        if wanted != latents.autoencoder:
            raise UsageError(f"{name} is for the latents of {wanted}, not {latents.autoencoder}")
        return name
    if name not in BACKBONES:
        raise _unknown(name)
    published = f"{latents.autoencoder}-{name}-in-{TRAINED_PIXELS}px"
    return published if published in TRANSFORMERS else f"{latents.autoencoder}-{name}"


def transformer_preset(name: str, *, autoencoder: str) -> TransformerPreset:
    """The published transformer, or a backbone without weights for the autoencoder's latents.

    ``name`` is that of a backbone or of a published transformer; ``autoencoder`` is a preset's full or short name,
    ``sd-f8`` included, whose latents are taken in patches of 2.

    Raises:
        UsageError: As ``transformer_name``.
    """
    full = transformer_name(name, autoencoder=autoencoder)
    return TRANSFORMERS.get(full) or _unpublished(name, _latents(autoencoder))


def is_of_size(name: str, config: DiTConfig | UViTConfig, diffusion: Diffusion) -> bool:
    """Whether a transformer has the size of ``name``, a backbone or a published transformer, and predicts the same.

    Latents, patches and classes may be others.

    Raises:
        UsageError: No such transformer.
    """
    if name in TRANSFORMERS:
        wanted, predicts = TRANSFORMERS[name].config, TRANSFORMERS[name].diffusion
    elif name in BACKBONES:
        wanted = configure(BACKBONES[name], channels=1, grid=(1, 1), patch=1, num_classes=None)
        predicts, _ = diffusion_of(BACKBONES[name].family)
    else:
        raise _unknown(name)
    return (_size(config), diffusion) == (_size(wanted), predicts)


def _size(config: DiTConfig | UViTConfig) -> tuple[type, int, int, int]:
    return type(config), config.depth, config.width, config.heads


def _unknown(name: str) -> UsageError:
    return UsageError(
        f"unknown transformer {name!r}; there are {', '.join([*BACKBONES, *TRANSFORMERS])}"
    )
