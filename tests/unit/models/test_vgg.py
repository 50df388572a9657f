"""VGG-16: its layers by number, its taps, and files that hold it."""

from pathlib import Path

import pytest
import torch
from autoencoders import random_input
from safetensors.torch import save_file

from dcae_export import hub
from dcae_export.errors import WeightsError
from dcae_export.models.random_weights import random_state
from dcae_export.models.vgg import TAP_CHANNELS, VGG16, fetch_vgg16, load_vgg16

# torchvision's features by number: what they take and give.
CONVOLUTIONS = {
    0: (3, 64),
    2: (64, 64),
    5: (64, 128),
    7: (128, 128),
    10: (128, 256),
    12: (256, 256),
    14: (256, 256),
    17: (256, 512),
    19: (512, 512),
    21: (512, 512),
    24: (512, 512),
    26: (512, 512),
    28: (512, 512),
}


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        vgg = VGG16()
    return random_state(vgg, seed=0)


@pytest.fixture(scope="module")
def published(state, tmp_path_factory) -> Path:
    """The state dict as it is published: a classifier's tensors beside the features', under either name."""
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    names = ("classifier.6.bias", "pre_logits.fc1.bias", "head.fc.weight")
    torch.save(state | {name: torch.zeros(2) for name in names}, path)
    return path


def test_keys_and_shapes_are_those_of_the_published_state_dict(state):
    expected = {}
    for number, (channels, width) in CONVOLUTIONS.items():
        expected[f"features.{number}.weight"] = (width, channels, 3, 3)
        expected[f"features.{number}.bias"] = (width,)
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected


def test_there_are_as_many_values_as_in_torchvisions_without_the_classifier(state):
    classifier = 25_089 * 4096 + 4097 * 4096 + 4097 * 1000
    assert (
        sum(tensor.numel() for tensor in state.values()) == 138_357_544 - classifier == 14_714_688
    )


def test_the_taps_are_the_last_activations_of_five_blocks(published):
    vgg = load_vgg16(published)
    image = random_input(1, 3, 32, 48)
    taps = vgg(image)
    assert [tuple(tap.shape) for tap in taps] == [
        (1, channels, 32 >> block, 48 >> block) for block, channels in enumerate(TAP_CHANNELS)
    ]
    for tap, last in zip(taps, (3, 8, 15, 22, 29), strict=True):
        assert torch.equal(tap, vgg.features[: last + 1](image))
        assert tap.min() == 0.0


def test_a_file_is_read_without_its_classifier_and_nothing_trains(published, state):
    vgg = load_vgg16(published)
    assert all(torch.equal(tensor, state[name]) for name, tensor in vgg.state_dict().items())
    assert not any(parameter.requires_grad for parameter in vgg.parameters())


def test_other_weights_are_refused(state, tmp_path):
    path = tmp_path / "vgg.safetensors"
    save_file(state | {"features.1.weight": torch.ones(64), "features.0.bias": torch.ones(3)}, path)
    faults = r"features\.1\.weight is unknown; features\.0\.bias has shape \[3\] for \[64\]"
    with pytest.raises(WeightsError, match=rf"vgg\.safetensors: these .* of VGG-16: {faults}$"):
        load_vgg16(path)


def test_the_hub_is_asked_for_the_one_file(monkeypatch, tmp_path):
    asked = []

    def fetch(repository, *, allow):
        asked.append((repository, allow))
        return tmp_path

    monkeypatch.setattr(hub, "fetch", fetch)
    assert fetch_vgg16() == tmp_path / "model.safetensors"
    assert asked == [("timm/vgg16.tv_in1k", ("model.safetensors",))]
