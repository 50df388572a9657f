"""The configuration of SD-VAE, to and from the config.json of diffusers' ``AutoencoderKL``."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dcae_export.errors import ConfigError, WeightsError
from dcae_export.models.autoencoder import IMAGE_CHANNELS

CLASS_NAME = "AutoencoderKL"
NUM_GROUPS = 32
LAYERS_PER_BLOCK = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class SDVAEConfig:
    """The widths of the stages from the image side to the latent side, and the latent's scale for diffusion.

    Every stage has two residual blocks in the encoder and three in the decoder; the resolution halves between
    two stages; one single-head attention stands at the latent's resolution, on either side (Latent Diffusion,
    arXiv 2112.10752). ``scaling_factor`` is 1 / RMS of the latents of the training data, None where it is
    not published.
    """

    block_out_channels: tuple[int, ...]
    latent_channels: int
    scaling_factor: float | None

    def __post_init__(self) -> None:
        for width in self.block_out_channels:
            if width % NUM_GROUPS:
                raise ConfigError(f"SD-VAE: width {width} is no multiple of {NUM_GROUPS}")

    @property
    def downsample(self) -> int:
        """Pixels of the image per position of the latent, along each side."""
        return 2 ** (len(self.block_out_channels) - 1)


# Bounds far above any real model: a hostile file must not make us build modules without end.
_Width = Annotated[int, Field(ge=NUM_GROUPS, le=65536)]


class _AutoencoderKLConfig(BaseModel):
    """The fields of ``AutoencoderKL``, closed to fields and values that could mean another function.

    Missing fields take the defaults of that class; what has none here has a default there that is no SD-VAE.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    in_channels: Literal[3] = IMAGE_CHANNELS
    out_channels: Literal[3] = IMAGE_CHANNELS
    down_block_types: tuple[Literal["DownEncoderBlock2D"], ...]
    up_block_types: tuple[Literal["UpDecoderBlock2D"], ...]
    block_out_channels: Annotated[tuple[_Width, ...], Field(min_length=2, max_length=16)]
    layers_per_block: Literal[2]
    act_fn: Literal["silu"] = "silu"
    latent_channels: Annotated[int, Field(ge=1, le=65536)] = 4
    norm_num_groups: Literal[32] = NUM_GROUPS
    scaling_factor: Annotated[float, Field(gt=0)] | None = 0.18215
    shift_factor: None = None
    latents_mean: None = None
    latents_std: None = None
    use_quant_conv: Literal[True] = True
    use_post_quant_conv: Literal[True] = True
    mid_block_add_attention: Literal[True] = True
    # What they say is of no consequence: the size of tiles, and the precision inside diffusers.
    sample_size: object = None
    force_upcast: object = None

    @model_validator(mode="after")
    def _has_a_block_of_each_kind_for_each_stage(self) -> "_AutoencoderKLConfig":
        num_stages = len(self.block_out_channels)
        if not len(self.down_block_types) == len(self.up_block_types) == num_stages:
            raise ValueError(f"{num_stages} block_out_channels, and another number of block types")
        return self


def from_autoencoder_kl(fields: dict[str, object]) -> SDVAEConfig:
    """Our configuration for the content of a config.json.

    Raises:
        WeightsError: A field is unknown, missing or malformed, or means another network.
        ConfigError: A width that the norms cannot have.
    """
    public = {name: value for name, value in fields.items() if not name.startswith("_")}
    try:
        stated = _AutoencoderKLConfig.model_validate(public)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or CLASS_NAME
        raise WeightsError(f"config.json: {where}: {first['msg']}") from error
    return SDVAEConfig(
        block_out_channels=stated.block_out_channels,
        latent_channels=stated.latent_channels,
        scaling_factor=stated.scaling_factor,
    )


def to_autoencoder_kl(config: SDVAEConfig) -> dict[str, object]:
    """The content of a config.json for our configuration; what is left out is the class's default."""
    num_stages = len(config.block_out_channels)
    return {
        "_class_name": CLASS_NAME,
        "in_channels": IMAGE_CHANNELS,
        "out_channels": IMAGE_CHANNELS,
        "down_block_types": ["DownEncoderBlock2D"] * num_stages,
        "up_block_types": ["UpDecoderBlock2D"] * num_stages,
        "block_out_channels": list(config.block_out_channels),
        "layers_per_block": LAYERS_PER_BLOCK,
        "act_fn": "silu",
        "latent_channels": config.latent_channels,
        "norm_num_groups": NUM_GROUPS,
        "scaling_factor": config.scaling_factor,
    }
