"""A large picture through a bundle in one pass: seconds, and the peak of a process that does nothing else."""

import time

import numpy as np

from benchmarks.machine import peak_bytes
from dcae_export.runtime.autoencoder import Autoencoder


def reconstruct_once(bundle: str, side: int) -> dict[str, object]:
    """Encode and decode noise of ``side`` by ``side`` pixels; opening the sessions is a part of either."""
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    start = time.perf_counter()
    autoencoder = Autoencoder.open(bundle)
    latent = autoencoder.encode(picture)
    encoded = time.perf_counter()
    autoencoder.decode(latent)
    return {
        "encoding_seconds": encoded - start,
        "decoding_seconds": time.perf_counter() - encoded,
        "peak_bytes": peak_bytes(),
    }
