"""FID, LPIPS and CLIP score against torchmetrics' own code, fed with our networks in place of those it would fetch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from evaluated_pictures import evaluated_pictures
from tiny_clip import write_tiny_clip
from torch import Tensor, nn
from torch.nn import functional

from dcae_export.evaluation.clip_model import CLIP
from dcae_export.evaluation.frechet import frechet_distance
from dcae_export.evaluation.lpips_distances import LPIPSDistances
from dcae_export.evaluation.metric_networks import alexnet_network
from dcae_export.evaluation.moments import Moments
from dcae_export.pictures.crops import adm_crop

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

CPU = torch.device("cpu")
SIDE = 64
# They sum squares in float64 and take eigenvalues of a product that is not symmetric.
OTHER_SUMS = 1e-6
# float32 in another order.
ROUNDING = 1e-5


class Thumbnail(nn.Module):
    """Twelve features of a picture of 8 bits: its four quarters by channel."""

    num_features = 12

    def forward(self, image: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(image.float() / 255, 2).flatten(1)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.stack([adm_crop(one, SIDE) for one in evaluated_pictures(40, side=SIDE)])


def to_tensor(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def test_fid_is_that_of_torchmetrics_whatever_the_batches(pictures):
    from torchmetrics.image.fid import FrechetInceptionDistance  # noqa: PLC0415

    thumbnail = Thumbnail()
    reference = FrechetInceptionDistance(feature=thumbnail, normalize=False)
    real, other = np.split(pictures, [25])
    sets = []
    for images, is_real in ((real, True), (other, False)):
        moments = Moments.empty(Thumbnail.num_features)
        for batch in np.array_split(images, 4):
            reference.update(to_tensor(batch), real=is_real)
        for batch in np.array_split(images, 7):
            moments.add(thumbnail(to_tensor(batch)).numpy())
        sets.append(moments.gaussian())
    expected = reference.compute().item()
    assert expected > 0.01
    assert frechet_distance(*sets) == pytest.approx(expected, rel=OTHER_SUMS)


def test_lpips_on_alexnet_is_that_of_torchmetrics(pictures, monkeypatch):
    from torchmetrics.functional.image import lpips as theirs  # noqa: PLC0415

    alexnet = alexnet_network("random:5")
    features = alexnet.network.features
    monkeypatch.setattr(theirs, "_get_tv_model_features", lambda _net, _pretrained: features)
    reference = theirs._LPIPS(net="alex")
    images, others = pictures[:3], pictures[3:6]
    expected = reference(to_tensor(images) / 255, to_tensor(others) / 255, normalize=True)
    found = LPIPSDistances(alexnet, device=CPU)(images, others)
    assert found == pytest.approx(expected.flatten().tolist(), rel=ROUNDING)


def test_clip_score_is_that_of_torchmetrics(pictures, tmp_path):
    from torchmetrics.functional.multimodal import clip_score  # noqa: PLC0415

    folder = write_tiny_clip(tmp_path / "clip")
    captions = ["a cat, twice", "nothing", "a dog and far more words than the model has tokens for"]
    clip = CLIP.load(folder, device=CPU)
    found = clip.scores([clip.prepare(image) for image in pictures[:3]], captions)
    expected = clip_score(
        list(to_tensor(pictures[:3])), captions, lambda: _model_and_processor(folder)
    )
    assert np.mean(found) == pytest.approx(expected.item(), rel=ROUNDING)


def _model_and_processor(folder: Path) -> tuple[object, object]:
    """Transformers' own model and preprocessing, as torchmetrics calls them."""
    from transformers import AutoTokenizer, CLIPModel  # noqa: PLC0415
    from transformers.models.clip.image_processing_pil_clip import (  # noqa: PLC0415
        CLIPImageProcessorPil,
    )

    model = CLIPModel.from_pretrained(folder)
    side = model.config.vision_config.image_size
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)

    class Model:
        config = model.config

        def to(self, _device: torch.device) -> "Model":
            return self

        def get_image_features(self, pixels: Tensor) -> Tensor:
            return model.get_image_features(pixels).pooler_output.detach()

        def get_text_features(self, numbers: Tensor, mask: Tensor) -> Tensor:
            return model.get_text_features(numbers, mask).pooler_output.detach()

    def process(
        *,
        images: list[Tensor] | None = None,
        text: list[str] | None = None,
        return_tensors: str,
        padding: bool,
    ) -> object:
        if images is not None:
            return processor(images, return_tensors=return_tensors)
        limit = model.config.text_config.max_position_embeddings
        return tokenizer(
            text,
            return_tensors=return_tensors,
            padding=padding,
            truncation=True,
            max_length=limit,
        )

    return Model(), process
