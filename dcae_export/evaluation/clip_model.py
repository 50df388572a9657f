"""CLIP from a folder of transformers: how well captions fit pictures."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling
from torch import Tensor

from dcae_export.errors import WeightsError
from dcae_export.evaluation.metric_device import plain_float32, to_unit_range
from dcae_export.files.sha256 import sha256
from dcae_export.pictures.crops import without_far_ends

_WEIGHTS: Final = "model.safetensors"
# Of CLIP's training pictures (arXiv 2103.00020), by channel, in [0, 1].
_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION: Final = (0.26862954, 0.26130258, 0.27577711)


class _Embeddings(Protocol):
    """What is used of a model's output: vectors of length 1, (B, D)."""

    image_embeds: Tensor
    text_embeds: Tensor


class _VisionConfig(Protocol):
    image_size: int


class _TextConfig(Protocol):
    max_position_embeddings: int


class _Config(Protocol):
    vision_config: _VisionConfig
    text_config: _TextConfig


class _Model(Protocol):
    """What is used of transformers' ``CLIPModel``, whose own types are partial."""

    config: _Config

    def __call__(self, **inputs: Tensor) -> _Embeddings: ...
    def eval(self) -> Self: ...
    def float(self) -> Self: ...
    def to(self, device: torch.device) -> Self: ...


class _Tokenizer(Protocol):
    """What is used of transformers' tokenizer."""

    def __call__(self, text: list[str], **options: bool | int | str) -> Mapping[str, Tensor]: ...


class _Loader(Protocol):
    """What is used of the classes of transformers."""

    def from_pretrained(self, folder: Path, **options: bool) -> object: ...


class CLIP:
    """Scores pictures against captions. Both are embedded; a score is 100 times the cosine of their angle.

    Captions are cut at the length that the model was made for, as torchmetrics does.
    """

    def __init__(
        self, model: _Model, tokenizer: _Tokenizer, *, source: str, device: torch.device
    ) -> None:
        """Use ``CLIP.load``."""
        self.source = source
        self._model = model.float().eval().to(device)
        self._tokenizer = tokenizer
        self._side = model.config.vision_config.image_size
        self._max_tokens = model.config.text_config.max_position_embeddings
        self._device = device

    @classmethod
    def load(cls, folder: Path, *, device: torch.device) -> Self:
        """Load a folder as ``CLIPModel.save_pretrained`` and its tokenizer leave it; nothing is fetched.

        Raises:
            WeightsError: The folder holds no such model, or not all of its weights as safetensors.
            ModuleNotFoundError: transformers is not installed.
        """
        weights = folder / _WEIGHTS
        if not weights.is_file():
            raise WeightsError(
                f"{folder}: holds no {_WEIGHTS}; name a local copy of a CLIP, as clip-vit-large-patch14"
            )
        with weights.open("rb") as file:
            digest = sha256(file)
        try:
            with _quiet():
                model, loading = _load_model(folder)
                tokenizer = _load_tokenizer(folder)
        except MemoryError:
            raise
        # Whatever transformers, tokenizers and safetensors make of malformed files.
        except Exception as error:
            reason = " ".join(str(error).split())
            raise WeightsError(f"{folder}: cannot be loaded as CLIP: {reason}") from error
        # Weights that are missing would be drawn, with no more than a warning.
        missing = loading.get("missing_keys") or loading.get("mismatched_keys")
        if missing:
            raise WeightsError(f"{weights}: not all weights of a CLIP: {missing} are missing")
        return cls(model, tokenizer, source=f"{folder.name}, sha256 {digest}", device=device)

    def scores(self, images: Sequence[NDArray[np.uint8]], captions: Sequence[str]) -> list[float]:
        """The score of each picture with its caption, -100 to 100.

        Args:
            images: As ``prepare`` gives them.
            captions: As many.
        """
        tokens = self._tokenizer(
            list(captions),
            padding=True,
            truncation=True,
            max_length=self._max_tokens,
            return_tensors="pt",
        )
        with plain_float32():
            pixels = to_unit_range(np.stack(images), self._device)
            mean, deviation = (
                torch.tensor(values, device=self._device)[:, None, None]
                for values in (_MEAN, _DEVIATION)
            )
            found = self._model(
                input_ids=tokens["input_ids"].to(self._device),
                attention_mask=tokens["attention_mask"].to(self._device),
                pixel_values=(pixels - mean) / deviation,
            )
            cosines = (found.image_embeds * found.text_embeds).sum(dim=1)
            return cast("list[float]", (100 * cosines).tolist())  # pyright: ignore[reportUnknownMemberType]

    def prepare(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture's middle as CLIP takes it: the short side resized bicubically, a square cut out.

        Args:
            image: (H, W, 3) RGB, 0 to 255.

        Returns:
            (side, side, 3).
        """
        picture = without_far_ends(Image.fromarray(image))
        short = min(picture.size)
        columns, rows = (self._side * length // short for length in picture.size)
        left, top = (columns - self._side) // 2, (rows - self._side) // 2
        picture = picture.resize((columns, rows), Resampling.BICUBIC)
        return np.array(picture.crop((left, top, left + self._side, top + self._side)))


@contextmanager
def _quiet() -> Generator[None]:
    """Keep transformers' progress and warnings from the terminal: what is wrong, our error says."""
    from transformers.utils import logging  # noqa: PLC0415 - takes seconds, and is for this alone

    verbosity, showed_progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if showed_progress:
            logging.enable_progress_bar()


def _load_model(folder: Path) -> tuple[_Model, Mapping[str, object]]:
    """The model, and what became of each of its weights."""
    from transformers import CLIPModel  # noqa: PLC0415 - as above

    loaded = cast("_Loader", CLIPModel).from_pretrained(
        folder, local_files_only=True, use_safetensors=True, output_loading_info=True
    )
    return cast("tuple[_Model, Mapping[str, object]]", loaded)


def _load_tokenizer(folder: Path) -> _Tokenizer:
    from transformers import AutoTokenizer  # noqa: PLC0415 - as above

    loaded = cast("_Loader", AutoTokenizer).from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    return cast("_Tokenizer", loaded)
