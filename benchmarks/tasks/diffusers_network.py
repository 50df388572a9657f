"""One half of diffusers' autoencoder with the weights of a folder."""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderDC
from safetensors import safe_open
from torch import nn

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"


def load_half(folder: Path, graph: str) -> nn.Module:
    """The encoder or the decoder alone: the other half's weights take no memory."""
    config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    with torch.device("meta"):
        network = getattr(AutoencoderDC.from_config(config), graph)
    prefix = f"{graph}."
    with safe_open(folder / WEIGHTS_NAME, framework="pt") as stored:
        state = {
            name.removeprefix(prefix): stored.get_tensor(name)
            for name in stored.keys()  # noqa: SIM118 - no mapping, it only has this method
            if name.startswith(prefix)
        }
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval().requires_grad_(requires_grad=False)
