"""A transformer as files: random weights by name, its graph as a bundle has it, and a plain export."""

import json
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.tasks.transformer_bundle import GRAPH
from dcae_export.export.graph_export import export_graph
from dcae_export.export.options import ExportOptions
from dcae_export.export.transformer_job import transformer_job
from dcae_export.models.presets import PRESETS, preset_name
from dcae_export.models.transformer_layers import SelfAttention
from dcae_export.models.transformer_weights import (
    TransformerCheckpoint,
    load_transformer,
    random_transformer_checkpoint,
)

WHICH = "which.json"


class PublishedAttention(nn.Module):
    """Attention as the published code of these networks writes it: five dimensions, then one for each of q, k, v."""

    def __init__(self, attention: SelfAttention) -> None:
        super().__init__()
        self.heads, self.qkv, self.proj = attention.heads, attention.qkv, attention.proj

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).reshape(batch, tokens, width))


def checkpoint_in(folder: Path) -> TransformerCheckpoint:
    """The random weights that ``which.json`` names: drawing them takes less time than reading them."""
    which = json.loads((folder / WHICH).read_text(encoding="utf-8"))
    return random_transformer_checkpoint(which["name"], autoencoder=which["autoencoder"], seed=0)


def published_network(checkpoint: TransformerCheckpoint) -> nn.Module:
    """The network in PyTorch with the attention of the published code."""
    return with_published_attention(load_transformer(checkpoint))


def with_published_attention(network: nn.Module) -> nn.Module:
    """The network, changed in place."""
    for part in network.modules():
        attention = getattr(part, "attn", None)
        if isinstance(attention, SelfAttention):
            part.attn = PublishedAttention(attention)
    return network


def make_transformer(name: str, autoencoder: str, form: str, folder: str) -> dict[str, object]:
    """Make the files of a contestant: ``bundle``, ``plain`` or ``eager``."""
    partial = Path(f"{folder}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    which = {"name": name, "autoencoder": autoencoder}
    (partial / WHICH).write_text(json.dumps(which), encoding="utf-8")
    if form != "eager":
        checkpoint = checkpoint_in(partial)
        with torch.no_grad():
            (_export_ours if form == "bundle" else _export_plain)(checkpoint, partial)
    partial.rename(folder)
    return {}


def input_shape(folder: str) -> dict[str, object]:
    """Channels, rows and columns of the latent."""
    config = checkpoint_in(Path(folder)).config
    return {"shape": [config.in_channels, *config.grid]}


def _export_ours(checkpoint: TransformerCheckpoint, folder: Path) -> None:
    which = json.loads((folder / WHICH).read_text(encoding="utf-8"))
    autoencoder = PRESETS[preset_name(which["autoencoder"])].config
    exported = export_graph(
        transformer_job(checkpoint, ExportOptions(), autoencoder),
        folder,
        ExportOptions(),
        model_id="0" * 64,
        progress=lambda _: None,
    )
    (folder / GRAPH).write_text(exported.graph.model_dump_json(), encoding="utf-8")


def _export_plain(checkpoint: TransformerCheckpoint, folder: Path) -> None:
    config = checkpoint.config
    batch = {0: torch.export.Dim("batch")}
    program = torch.onnx.export(
        published_network(checkpoint),
        (torch.zeros(2, config.in_channels, *config.grid), torch.zeros(2), torch.zeros(2).long()),
        dynamo=True,
        dynamic_shapes=(batch, batch, batch),
        input_names=["latent", "timestep", "label"],
        verbose=False,
    )
    assert program is not None
    program.save(folder / "transformer.onnx", external_data=True)
