"""Take DC-AE, the deep-compression autoencoder, and its diffusion transformers from PyTorch to any machine."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcae_export.runtime.autoencoder import Autoencoder
    from dcae_export.runtime.pipeline import Pipeline

__all__ = ["Autoencoder", "Pipeline", "__version__"]
__version__ = "0.1.0"

# ONNX Runtime's builds for Linux send what they run on to their maker from 1.29 on, and look here as they load; its call
# comes too late. Processes that are started take it over. Who wants it says so before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> object:
    """Import on first use: ``import dcae_export`` alone loads neither NumPy nor ONNX Runtime."""
    if name == "Autoencoder":
        from dcae_export.runtime.autoencoder import Autoencoder  # noqa: PLC0415

        return Autoencoder
    if name == "Pipeline":
        from dcae_export.runtime.pipeline import Pipeline  # noqa: PLC0415

        return Pipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
