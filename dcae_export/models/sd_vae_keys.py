"""Where files of diffusers' ``AutoencoderKL`` keep each tensor of our SD-VAE."""

import functools
import re
from collections.abc import Container, Mapping

import torch
from torch import Tensor

from dcae_export.models.key_map import Entry
from dcae_export.models.sd_vae import SDVAE
from dcae_export.models.sd_vae_config import SDVAEConfig

# Older versions of diffusers had another class for the attention, and published files keep its names.
_OLD_ATTENTION = re.compile(
    r"((?:encoder|decoder)\.mid_block\.attentions\.0\.)(query|key|value|proj_attn)(\.weight|\.bias)"
)
_NEW_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def is_sd_vae(names: Container[str]) -> bool:
    """Whether these are names of an SD-VAE: no DC-AE has a convolution around the latent's moments."""
    return "quant_conv.weight" in names


def current_names(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file, the old names of the attention replaced by today's.

    A file that has one tensor under both is left as it is, with names that nothing will know.
    """
    renamed = {_current_name(name): tensor for name, tensor in stored.items()}
    return renamed if len(renamed) == len(stored) else dict(stored)


@functools.lru_cache(maxsize=32)
def sd_vae_key_map(config: SDVAEConfig) -> tuple[Entry, ...]:
    """An entry for each tensor of the SD-VAE, in the order of its state dict."""
    with torch.device("meta"):
        tensors = SDVAE(config).state_dict()
    return tuple(
        Entry(
            key=key,
            shape=tuple(tensor.shape),
            names=(_stored_name(key),),
            stored_shape=tuple(tensor.shape),
        )
        for key, tensor in tensors.items()
    )


def _stored_name(key: str) -> str:
    """The file's name for a key of ours: "encoder.network.x" is "encoder.x", "encoder.y" is "y"."""
    side, _, rest = key.partition(".")
    inside = rest.removeprefix("network.")
    return f"{side}.{inside}" if inside != rest else rest


def _current_name(name: str) -> str:
    old = _OLD_ATTENTION.fullmatch(name)
    return f"{old[1]}{_NEW_NAMES[old[2]]}{old[3]}" if old else name
