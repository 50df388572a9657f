"""The blocks of each network whose precision is chosen one by one."""

from dataclasses import dataclass

from torch import nn

from dcae_export.export.image_io import PictureDecoder, PictureEncoder
from dcae_export.models import autoencoder, sd_vae
from dcae_export.models.dit import DiT
from dcae_export.models.uvit import UViT


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
    """Names of submodules, as ``get_submodule`` takes them.

    ``free`` are float16 where their activations let them. ``fixed`` are float32 in every mixed graph: what makes
    features of the time, what stands next to the output (a float16 there would be seen in the result as it is), and
    embeddings, which cost nothing. What lies outside of all of them is float32 as well.
    """

    free: tuple[str, ...]
    fixed: tuple[str, ...]


def network_of(module: nn.Module) -> nn.Module:
    """The network itself, where pictures are converted around it."""
    match module:
        case PictureEncoder():
            return module.encoder
        case PictureDecoder():
            return module.decoder
        case _:
            return module


def blocks_of(network: nn.Module) -> Blocks:
    """The blocks of a network, in the order in which it holds them.

    Raises:
        TypeError: It is none of the networks that are exported.
    """
    match network:
        case autoencoder.Encoder():
            return Blocks(free=("conv_in", *_grandchildren(network, "stages")), fixed=("conv_out",))
        case autoencoder.Decoder():
            free = ("conv_in", *_grandchildren(network, "stages"))
            return Blocks(free=free, fixed=("norm_out", "conv_out"))
        case sd_vae.Encoder():
            free = ("network.conv_in", *_vae_stages(network, "down_blocks"))
            fixed = ("network.conv_norm_out", "network.conv_out", "quant_conv")
            return Blocks(free=free, fixed=fixed)
        case sd_vae.Decoder():
            free = ("post_quant_conv", "network.conv_in", *_vae_stages(network, "up_blocks"))
            return Blocks(free=free, fixed=("network.conv_norm_out", "network.conv_out"))
        case DiT():
            embedders = ("x_embedder", "t_embedder", "y_embedder")
            return Blocks(
                free=_children(network, "blocks"),
                fixed=(*(name for name in embedders if hasattr(network, name)), "final_layer"),
            )
        case UViT():
            embedders = ("patch_embed", "time_features", "label_emb")
            free = (
                *_children(network, "in_blocks"),
                "mid_block",
                *_children(network, "out_blocks"),
            )
            fixed = (
                *(name for name in embedders if hasattr(network, name)),
                "norm",
                "decoder_pred",
            )
            return Blocks(free=free, fixed=fixed)
        case _:
            raise TypeError(f"{type(network).__name__} is no network of this package")


def _children(network: nn.Module, name: str) -> tuple[str, ...]:
    return tuple(f"{name}.{child}" for child, _ in network.get_submodule(name).named_children())


def _grandchildren(network: nn.Module, name: str) -> tuple[str, ...]:
    return tuple(block for child in _children(network, name) for block in _children(network, child))


def _vae_stages(network: nn.Module, name: str) -> tuple[str, ...]:
    """Residual blocks, attentions and resamplings of diffusers' stages, those in the middle included."""
    stages = (*_children(network, f"network.{name}"), "network.mid_block")
    return tuple(
        block
        for stage in stages
        for kind, _ in network.get_submodule(stage).named_children()
        if isinstance(network.get_submodule(f"{stage}.{kind}"), nn.ModuleList)
        for block in _children(network, f"{stage}.{kind}")
    )
