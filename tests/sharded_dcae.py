"""``dcae`` with FSDP2 on CPUs, each block of a U-ViT gathered by itself."""

import os
from collections import Counter

from tiny_training import shard_on_the_cpu
from torch import nn
from torch.distributed import fsdp

from dcae_export.cli import main

_BLOCK, _NETWORK = "UViTBlock", "UViT"


def _count_shards() -> Counter[str]:
    """What FSDP2 shards from now on, by the name of its class."""
    counts: Counter[str] = Counter()
    fully_shard = fsdp.fully_shard

    def counting(module: nn.Module, **options: object) -> nn.Module:
        counts[type(module).__name__] += 1
        return fully_shard(module, **options)

    fsdp.fully_shard = counting
    return counts


if __name__ == "__main__":
    os.environ |= {
        "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
        "FSDP_TRANSFORMER_CLS_TO_WRAP": _BLOCK,
    }
    shard_on_the_cpu()
    shards = _count_shards()
    try:
        main()
    finally:
        # A way that was not taken would pass every comparison.
        assert shards[_NETWORK] == 1, shards
        assert shards[_BLOCK] > 1, shards
