"""The config.json of diffusers' ``AutoencoderDC``, to and from our configuration.

Missing fields take the defaults of that class: older files lack the shortcuts and ``decoder_conv_act_fn``.
"""

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dcae_export.errors import ConfigError, WeightsError
from dcae_export.models.attention import HEAD_DIM
from dcae_export.models.autoencoder import (
    IMAGE_CHANNELS,
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

CLASS_NAME = "AutoencoderDC"

# Bounds far above any real model: a hostile file must not make us build modules without end.
Width = Annotated[int, Field(ge=4, le=65536)]
Depth = Annotated[int, Field(ge=0, le=256)]
KernelSize = Literal[3, 5, 7]
BlockType = Literal["ResBlock", "EfficientViTBlock"]
NormType = Literal["rms_norm", "batch_norm"]
ActivationName = Literal["silu", "relu"]
PerStage = Field(min_length=2, max_length=16)

T = TypeVar("T", int, BlockType, NormType, ActivationName)

_NORMS: dict[NormType, Norm] = {"rms_norm": Norm.RMS, "batch_norm": Norm.BATCH}
_ACTIVATIONS: dict[ActivationName, Activation] = {
    "silu": Activation.SILU,
    "relu": Activation.RELU,
}


class DiffusersConfig(BaseModel):
    """The fields of ``AutoencoderDC`` with its defaults; closed to fields that could mean another function."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    in_channels: Literal[3] = IMAGE_CHANNELS
    latent_channels: Annotated[int, Field(ge=1, le=65536)] = 32
    attention_head_dim: Literal[32] = HEAD_DIM
    encoder_block_types: BlockType | tuple[BlockType, ...] = "ResBlock"
    decoder_block_types: BlockType | tuple[BlockType, ...] = "ResBlock"
    encoder_block_out_channels: Annotated[tuple[Width, ...], PerStage] = (
        128,
        256,
        512,
        512,
        1024,
        1024,
    )
    decoder_block_out_channels: Annotated[tuple[Width, ...], PerStage] = (
        128,
        256,
        512,
        512,
        1024,
        1024,
    )
    encoder_layers_per_block: tuple[Depth, ...] = (2, 2, 2, 3, 3, 3)
    decoder_layers_per_block: tuple[Depth, ...] = (3, 3, 3, 3, 3, 3)
    encoder_qkv_multiscales: tuple[tuple[KernelSize, ...], ...] = ((), (), (), (5,), (5,), (5,))
    decoder_qkv_multiscales: tuple[tuple[KernelSize, ...], ...] = ((), (), (), (5,), (5,), (5,))
    upsample_block_type: str = "pixel_shuffle"
    downsample_block_type: str = "pixel_unshuffle"
    decoder_norm_types: NormType | tuple[NormType, ...] = "rms_norm"
    decoder_act_fns: ActivationName | tuple[ActivationName, ...] = "silu"
    encoder_out_shortcut: bool = True
    decoder_in_shortcut: bool = True
    decoder_conv_act_fn: ActivationName = "relu"
    scaling_factor: Annotated[float, Field(gt=0)] | None = 1.0


def from_diffusers(fields: dict[str, object]) -> AutoencoderConfig:
    """Our configuration for the content of a config.json.

    Raises:
        WeightsError: The file is of another class, or a field is unknown or malformed.
        ConfigError: The fields contradict each other.
    """
    class_name = fields.get("_class_name")
    if class_name != CLASS_NAME:
        raise WeightsError(f"config.json is of a {class_name!r}; only {CLASS_NAME} can be used")
    public = {name: value for name, value in fields.items() if not name.startswith("_")}
    try:
        return _decode(DiffusersConfig.model_validate(public))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WeightsError(f"config.json: {where}: {first['msg']}") from error


def to_diffusers(config: AutoencoderConfig) -> dict[str, object]:
    """The content of a config.json for our configuration, all fields written out.

    Raises:
        ConfigError: ``AutoencoderDC`` has no field for what the configuration says.
    """
    encoder, decoder = config.encoder, config.decoder
    if any(
        isinstance(stage, ResStage)
        and stage.depth
        and (stage.norm, stage.activation) != (Norm.RMS, Activation.SILU)
        for stage in encoder.stages
    ):
        raise ConfigError("diffusers' encoder knows the RMS norm and SiLU only")
    interpolates = decoder.upsampling is Upsampling.INTERPOLATE_CONV
    unshuffles = encoder.downsampling is Downsampling.CONV_PIXEL_UNSHUFFLE
    return {
        "_class_name": CLASS_NAME,
        "in_channels": IMAGE_CHANNELS,
        "latent_channels": config.latent_channels,
        "attention_head_dim": HEAD_DIM,
        "encoder_block_types": [_block_type(stage) for stage in encoder.stages],
        "decoder_block_types": [_block_type(stage) for stage in decoder.stages],
        "encoder_block_out_channels": [stage.width for stage in encoder.stages],
        "decoder_block_out_channels": [stage.width for stage in decoder.stages],
        "encoder_layers_per_block": [stage.depth for stage in encoder.stages],
        "decoder_layers_per_block": [stage.depth for stage in decoder.stages],
        "encoder_qkv_multiscales": [_scales(stage) for stage in encoder.stages],
        "decoder_qkv_multiscales": [_scales(stage) for stage in decoder.stages],
        "upsample_block_type": "interpolate" if interpolates else "pixel_shuffle",
        "downsample_block_type": "pixel_unshuffle" if unshuffles else "conv",
        "decoder_norm_types": [_norm_type(stage) for stage in decoder.stages],
        "decoder_act_fns": [_activation_name(stage) for stage in decoder.stages],
        "encoder_out_shortcut": encoder.latent_shortcut,
        "decoder_in_shortcut": decoder.latent_shortcut,
        "decoder_conv_act_fn": decoder.out_activation.value,
        "scaling_factor": config.scaling_factor,
    }


def _decode(fields: DiffusersConfig) -> AutoencoderConfig:
    unshuffles = fields.downsample_block_type == "pixel_unshuffle"
    interpolates = fields.upsample_block_type == "interpolate"
    return AutoencoderConfig(
        encoder=EncoderConfig(
            stages=_stages(
                fields.encoder_block_out_channels,
                fields.encoder_layers_per_block,
                fields.encoder_block_types,
                fields.encoder_qkv_multiscales,
            ),
            # Hosted files spell the other kind "Conv" or "conv"; diffusers too compares with this one only.
            downsampling=Downsampling.CONV_PIXEL_UNSHUFFLE
            if unshuffles
            else Downsampling.STRIDED_CONV,
            latent_shortcut=fields.encoder_out_shortcut,
        ),
        decoder=DecoderConfig(
            stages=_stages(
                fields.decoder_block_out_channels,
                fields.decoder_layers_per_block,
                fields.decoder_block_types,
                fields.decoder_qkv_multiscales,
                norms=fields.decoder_norm_types,
                activations=fields.decoder_act_fns,
            ),
            upsampling=Upsampling.INTERPOLATE_CONV
            if interpolates
            else Upsampling.CONV_PIXEL_SHUFFLE,
            latent_shortcut=fields.decoder_in_shortcut,
            out_activation=_ACTIVATIONS[fields.decoder_conv_act_fn],
        ),
        latent_channels=fields.latent_channels,
        scaling_factor=fields.scaling_factor,
    )


def _stages(
    widths: tuple[int, ...],
    depths: tuple[int, ...],
    block_types: BlockType | tuple[BlockType, ...],
    scales: tuple[tuple[int, ...], ...],
    *,
    norms: NormType | tuple[NormType, ...] = "rms_norm",
    activations: ActivationName | tuple[ActivationName, ...] = "silu",
) -> tuple[Stage, ...]:
    num_stages = len(widths)
    if len(scales) < num_stages:
        raise ConfigError(f"config.json: {num_stages} stages, but {len(scales)} qkv_multiscales")
    columns = (
        _per_stage(depths, num_stages),
        _per_stage(block_types, num_stages),
        _per_stage(norms, num_stages),
        _per_stage(activations, num_stages),
    )
    return tuple(
        _stage(width, depth, block_type, sizes, norm, activation)
        for width, sizes, depth, block_type, norm, activation in zip(
            widths, scales[:num_stages], *columns, strict=True
        )
    )


def _stage(
    width: int,
    depth: int,
    block_type: BlockType,
    scales: tuple[int, ...],
    norm: NormType,
    activation: ActivationName,
) -> Stage:
    # The kind, norm and activation of an empty stage are of no consequence.
    if block_type == "ResBlock" or not depth:
        return ResStage(
            width=width, depth=depth, norm=_NORMS[norm], activation=_ACTIVATIONS[activation]
        )
    if norm != "rms_norm":
        raise ConfigError("config.json: an EfficientViTBlock with batch_norm is not supported")
    return AttentionStage(width=width, depth=depth, scales=scales)


def _per_stage(values: T | tuple[T, ...], num_stages: int) -> tuple[T, ...]:
    """The values of a field that is one for all stages or one for each."""
    if not isinstance(values, tuple):
        return (values,) * num_stages
    if len(values) != num_stages:
        raise ConfigError(f"config.json: {num_stages} stages, but {len(values)} of {values}")
    return values


def _block_type(stage: Stage) -> BlockType:
    return "EfficientViTBlock" if isinstance(stage, AttentionStage) else "ResBlock"


def _scales(stage: Stage) -> list[int]:
    return list(stage.scales) if isinstance(stage, AttentionStage) else []


def _norm_type(stage: Stage) -> NormType:
    batch = isinstance(stage, ResStage) and stage.norm is Norm.BATCH
    return "batch_norm" if batch else "rms_norm"


def _activation_name(stage: Stage) -> ActivationName:
    relu = isinstance(stage, ResStage) and stage.activation is Activation.RELU
    return "relu" if relu else "silu"
