"""Where the published layouts keep each tensor of our networks.

Our modules stand in the order of the official ones, so a key of ours differs from a foreign key only in how
its parts are spelled; positions inside a stage are the same in all layouts.
"""

import enum
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, assert_never

import torch
from torch import Tensor

from dcae_export.errors import WeightsError
from dcae_export.models.autoencoder import Autoencoder, AutoencoderConfig, Downsampling

COUNTER = "num_batches_tracked"


class Layout(enum.Enum):
    """A way to spell the keys of a checkpoint."""

    OFFICIAL = "official"
    DIFFUSERS = "diffusers"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One tensor of ours and the tensors of a layout that hold it.

    Several ``names`` hold equal, consecutive blocks of rows, each of shape ``stored_shape``.
    """

    key: str
    shape: tuple[int, ...]
    names: tuple[str, ...]
    stored_shape: tuple[int, ...]

    def join(self, stored: list[Tensor]) -> Tensor:
        """Our tensor from the layout's, in the order of ``names``; without a copy where there is one."""
        whole = stored[0] if len(stored) == 1 else torch.cat(stored)
        return whole.reshape(self.shape)

    def split(self, tensor: Tensor) -> dict[str, Tensor]:
        """The layout's tensors by name, as views of ours."""
        parts = tensor.reshape(len(self.names), *self.stored_shape).unbind()
        return dict(zip(self.names, parts, strict=True))


class _Names(NamedTuple):
    official: str
    diffusers: str


_BLOCK_PARTS = {
    "conv1": _Names("main.conv1.conv", "conv1"),
    "conv2": _Names("main.conv2.conv", "conv2"),
    "norm": _Names("main.conv2.norm", "norm"),
    "attention.qkv": _Names("context_module.main.qkv.conv", "attn.to_qkv"),
    "attention.proj": _Names("context_module.main.proj.conv", "attn.to_out"),
    "attention.norm": _Names("context_module.main.proj.norm", "attn.norm_out"),
    "mlp.inverted_conv": _Names("local_module.main.inverted_conv.conv", "conv_out.conv_inverted"),
    "mlp.depth_conv": _Names("local_module.main.depth_conv.conv", "conv_out.conv_depth"),
    "mlp.point_conv": _Names("local_module.main.point_conv.conv", "conv_out.conv_point"),
    "mlp.norm": _Names("local_module.main.point_conv.norm", "conv_out.norm"),
}
_MULTISCALE_PARTS = {
    "depthwise": _Names("0", "proj_in"),
    "pointwise": _Names("1", "proj_out"),
}
_IN_STAGE = re.compile(r"(encoder|decoder)\.stages\.(\d+)\.(\d+)\.(.+)")
_MULTISCALE = re.compile(r"attention\.multiscale\.(\d+)\.(depthwise|pointwise)")
# Fused in ours and the official layout. The three parts are a storage split by rows and nothing more: rows
# are grouped per head as q, k, v of 32, so "to_q" is not the query.
_QKV = re.compile(r"(.+\.)to_qkv\.weight")


@functools.lru_cache(maxsize=32)
def key_map(config: AutoencoderConfig, layout: Layout) -> tuple[Entry, ...]:
    """An entry for each tensor of the autoencoder, in the order of its state dict."""
    with torch.device("meta"):
        tensors = Autoencoder(config).state_dict()
    entries: list[Entry] = []
    for key, tensor in tensors.items():
        module, _, attribute = key.rpartition(".")
        names = _module_names(module, config)
        shape = tuple(tensor.shape)
        match layout:
            case Layout.OFFICIAL:
                name = f"{names.official}.{attribute}"
                entries.append(Entry(key=key, shape=shape, names=(name,), stored_shape=shape))
            case Layout.DIFFUSERS:
                entries.append(_diffusers_entry(key, f"{names.diffusers}.{attribute}", shape))
            case _:
                assert_never(layout)
    return tuple(entries)


def detect_layout(names: Iterable[str]) -> Layout:
    """The layout that spells these keys.

    Raises:
        WeightsError: Neither does.
    """
    found = list(names)
    if any(".op_list." in name for name in found):
        return Layout.OFFICIAL
    if any(name.startswith(("encoder.down_blocks.", "decoder.up_blocks.")) for name in found):
        return Layout.DIFFUSERS
    first = f"the first of {len(found)} is {min(found)!r}" if found else "there are none"
    raise WeightsError(f"tensors are not named as a DC-AE's or an SD-VAE's: {first}")


def _diffusers_entry(key: str, name: str, shape: tuple[int, ...]) -> Entry:
    fused = _QKV.fullmatch(name)
    if fused:
        names = tuple(f"{fused[1]}to_{part}.weight" for part in "qkv")
        return Entry(key=key, shape=shape, names=names, stored_shape=(shape[0] // 3, shape[1]))
    # Linear layers there, 1x1 convolutions here.
    stored_shape = shape[:2] if name.endswith(".to_out.weight") else shape
    return Entry(key=key, shape=shape, names=(name,), stored_shape=stored_shape)


def _module_names(module: str, config: AutoencoderConfig) -> _Names:
    in_stage = _IN_STAGE.fullmatch(module)
    if not in_stage:
        return _outer_names(config)[module]
    side, stage, position, part = in_stage.groups()
    names = _block_names(side, part, config)
    blocks = "down_blocks" if side == "encoder" else "up_blocks"
    return _Names(
        f"{side}.stages.{stage}.op_list.{position}.{names.official}",
        f"{side}.{blocks}.{stage}.{position}.{names.diffusers}",
    )


def _block_names(side: str, part: str, config: AutoencoderConfig) -> _Names:
    if part == "conv":
        bare = side == "encoder" and config.encoder.downsampling is Downsampling.STRIDED_CONV
        return _Names("main.conv" if bare else "main.conv.conv", "conv")
    multiscale = _MULTISCALE.fullmatch(part)
    if multiscale:
        scale, conv = multiscale.groups()
        names = _MULTISCALE_PARTS[conv]
        return _Names(
            f"context_module.main.aggreg.{scale}.{names.official}",
            f"attn.to_qkv_multiscale.{scale}.{names.diffusers}",
        )
    return _BLOCK_PARTS[part]


def _outer_names(config: AutoencoderConfig) -> dict[str, _Names]:
    # An empty first stage moves the change of resolution to the image's own convolution, which then is one
    # level deeper. Encoder and decoder differ in this (DC-AE Lite).
    bare = config.encoder.downsampling is Downsampling.STRIDED_CONV
    encoder_out = "main." if config.encoder.latent_shortcut else ""
    decoder_in = "main." if config.decoder.latent_shortcut else ""
    return {
        "encoder.conv_in": _Names("encoder.project_in.conv", "encoder.conv_in"),
        "encoder.conv_in.conv": _Names(
            "encoder.project_in.conv" if bare else "encoder.project_in.conv.conv",
            "encoder.conv_in.conv",
        ),
        "encoder.conv_out.conv": _Names(
            f"encoder.project_out.{encoder_out}op_list.0.conv", "encoder.conv_out"
        ),
        "decoder.conv_in.conv": _Names(f"decoder.project_in.{decoder_in}conv", "decoder.conv_in"),
        "decoder.norm_out": _Names("decoder.project_out.op_list.0", "decoder.norm_out"),
        "decoder.conv_out": _Names("decoder.project_out.op_list.2.conv", "decoder.conv_out"),
        "decoder.conv_out.conv": _Names(
            "decoder.project_out.op_list.2.conv.conv", "decoder.conv_out.conv"
        ),
    }
