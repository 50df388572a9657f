"""A CLIP of a few thousand random weights and a tokenizer of single characters, as transformers stores them."""

import json
from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPModel

SIDE = 32
MAX_TOKENS = 16
_START, _END = "<|startoftext|>", "<|endoftext|>"
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789,."


def write_tiny_clip(folder: Path, *, seed: int = 0) -> Path:
    """Write the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = [_START, _END, *_LETTERS, *(f"{letter}</w>" for letter in _LETTERS)]
    layers = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    config = CLIPConfig(
        text_config={
            **layers,
            "vocab_size": len(vocabulary),
            "max_position_embeddings": MAX_TOKENS,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 1,
        },
        vision_config={**layers, "image_size": SIDE, "patch_size": 8},
        projection_dim=8,
    )
    torch.manual_seed(seed)
    CLIPModel(config).save_pretrained(folder)
    numbers = {token: number for number, token in enumerate(vocabulary)}
    (folder / "vocab.json").write_text(json.dumps(numbers))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {"bos_token": _START, "eos_token": _END, "pad_token": _END, "unk_token": _END}
    tokenizer = {"tokenizer_class": "CLIPTokenizer", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    return folder
