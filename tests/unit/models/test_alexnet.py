"""AlexNet: its layers by number, its taps, and files that hold it."""

import pytest
import torch
from autoencoders import random_input

from dcae_export.errors import WeightsError
from dcae_export.models.alexnet import (
    ALEXNET_CHANNELS,
    ALEXNET_MIN_SIDE,
    AlexNet,
    draw_alexnet,
    load_alexnet,
)

# torchvision's features by number: what they take and give, and their kernel.
CONVOLUTIONS = {
    0: (3, 64, 11),
    3: (64, 192, 5),
    6: (192, 384, 3),
    8: (384, 256, 3),
    10: (256, 256, 3),
}
# torchvision's 61,100,840 less the three layers of its classifier, 9216 to 4096 to 4096 to 1000.
FEATURES_ALONE = 61_100_840 - (9217 * 4096 + 4097 * 4096 + 4097 * 1000)


@pytest.fixture(scope="module")
def alexnet() -> AlexNet:
    return draw_alexnet(seed=0)


def test_keys_shapes_and_count_are_those_of_the_published_state_dict(alexnet):
    expected = {}
    for number, (channels, width, side) in CONVOLUTIONS.items():
        expected[f"features.{number}.weight"] = (width, channels, side, side)
        expected[f"features.{number}.bias"] = (width,)
    state = alexnet.state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected
    assert sum(tensor.numel() for tensor in state.values()) == FEATURES_ALONE == 2_469_696


def test_the_taps_are_the_activations_of_the_five_convolutions(alexnet):
    image = random_input(1, 3, 67, 96)
    taps = alexnet(image)
    assert [tap.shape[1] for tap in taps] == list(ALEXNET_CHANNELS)
    # Strides of 4, 2 and 2, each rounded down.
    assert [tuple(tap.shape[2:]) for tap in taps] == [(16, 23), (7, 11), *[(3, 5)] * 3]
    for tap, number in zip(taps, CONVOLUTIONS, strict=True):
        assert torch.equal(tap, alexnet.features[: number + 2](image))
        assert tap.min() == 0.0


def test_pictures_of_the_smallest_side_pass_and_smaller_ones_do_not(alexnet):
    assert alexnet(random_input(1, 3, ALEXNET_MIN_SIDE, ALEXNET_MIN_SIDE))[-1].shape[2:] == (1, 1)
    with pytest.raises(RuntimeError):
        alexnet(random_input(1, 3, ALEXNET_MIN_SIDE - 1, ALEXNET_MIN_SIDE))


def test_a_file_is_read_without_its_classifier_and_nothing_trains(alexnet, tmp_path):
    state = alexnet.state_dict()
    torch.save(state | {"classifier.6.bias": torch.zeros(1000)}, tmp_path / "alexnet.pth")
    loaded = load_alexnet(tmp_path / "alexnet.pth")
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.state_dict().items())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_other_weights_are_refused(alexnet, tmp_path):
    state = alexnet.state_dict()
    del state["features.3.bias"]
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"of AlexNet: features\.3\.bias is missing"):
        load_alexnet(tmp_path / "other.pth")
