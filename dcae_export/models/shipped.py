"""The weights that come with this package: the demo model, an autoencoder and a transformer for its latents.

Both lie in ``dcae_export/demo``, each as a training run leaves a model, in float16. Nothing here needs PyTorch.
"""

import hashlib
from pathlib import Path
from typing import Final, Literal

from dcae_export.errors import WeightsError
from dcae_export.files.sha256 import sha256

Part = Literal["autoencoder", "transformer"]

FOLDER: Final = Path(__file__).parents[1] / "demo"
AUTOENCODER_NAME: Final = "dc-ae-f64c64-demo"
TRANSFORMER_NAME: Final = "dc-ae-f64c64-demo-usit-demo"
# The sides in pixels of the pictures that the transformer was trained for.
SIDES: Final = (512, 1024, 2048)
# Of all files together: what an installation carries for everyone, used or not.
MAX_BYTES: Final = 12_000_000


def source_name(part: Part) -> str:
    """How a bundle names where its weights came from: the same on every machine."""
    return f"dcae_export/demo/{part}"


def shipped_part(part: Part) -> Path:
    """The checkpoint's folder.

    Raises:
        WeightsError: This copy of the package was made without it.
    """
    folder = FOLDER / part
    if not folder.is_dir():
        raise WeightsError(
            f"{folder}: this copy of dcae-export has no demo model. Two ways on: make demo-model trains it; "
            "or name a BUNDLE or --weights of your own, random:SEED for a dry run"
        )
    return folder


def shipped_digest() -> str:
    """The sha256 of both networks' files: another demo model has another one.

    Raises:
        WeightsError: As ``shipped_part``.
    """
    digest = hashlib.sha256()
    for part in ("autoencoder", "transformer"):
        folder = shipped_part(part)
        for path in (folder / "config.json", *sorted(folder.glob("*.safetensors"))):
            with path.open("rb") as file:
                digest.update(f"{part}/{path.name} {sha256(file)}\n".encode())
    return digest.hexdigest()
