"""FID's Inception: its keys, its pools, and the weights that it refuses."""

import numpy as np
import pytest
import torch
from autoencoders import random_input

from dcae_export.errors import WeightsError
from dcae_export.models.fid_inception import (
    FEATURES,
    SIDE,
    FIDInception,
    draw_fid_inception,
    load_fid_inception,
)

# Every convolution of the published state dict: its name, channels in and out, rows and columns of its kernel.
CONVOLUTIONS = """
Conv2d_1a_3x3 3 32 3 3
Conv2d_2a_3x3 32 32 3 3
Conv2d_2b_3x3 32 64 3 3
Conv2d_3b_1x1 64 80 1 1
Conv2d_4a_3x3 80 192 3 3
Mixed_5b.branch1x1 192 64 1 1
Mixed_5b.branch5x5_1 192 48 1 1
Mixed_5b.branch5x5_2 48 64 5 5
Mixed_5b.branch3x3dbl_1 192 64 1 1
Mixed_5b.branch3x3dbl_2 64 96 3 3
Mixed_5b.branch3x3dbl_3 96 96 3 3
Mixed_5b.branch_pool 192 32 1 1
Mixed_5c.branch1x1 256 64 1 1
Mixed_5c.branch5x5_1 256 48 1 1
Mixed_5c.branch5x5_2 48 64 5 5
Mixed_5c.branch3x3dbl_1 256 64 1 1
Mixed_5c.branch3x3dbl_2 64 96 3 3
Mixed_5c.branch3x3dbl_3 96 96 3 3
Mixed_5c.branch_pool 256 64 1 1
Mixed_5d.branch1x1 288 64 1 1
Mixed_5d.branch5x5_1 288 48 1 1
Mixed_5d.branch5x5_2 48 64 5 5
Mixed_5d.branch3x3dbl_1 288 64 1 1
Mixed_5d.branch3x3dbl_2 64 96 3 3
Mixed_5d.branch3x3dbl_3 96 96 3 3
Mixed_5d.branch_pool 288 64 1 1
Mixed_6a.branch3x3 288 384 3 3
Mixed_6a.branch3x3dbl_1 288 64 1 1
Mixed_6a.branch3x3dbl_2 64 96 3 3
Mixed_6a.branch3x3dbl_3 96 96 3 3
Mixed_6b.branch1x1 768 192 1 1
Mixed_6b.branch7x7_1 768 128 1 1
Mixed_6b.branch7x7_2 128 128 1 7
Mixed_6b.branch7x7_3 128 192 7 1
Mixed_6b.branch7x7dbl_1 768 128 1 1
Mixed_6b.branch7x7dbl_2 128 128 7 1
Mixed_6b.branch7x7dbl_3 128 128 1 7
Mixed_6b.branch7x7dbl_4 128 128 7 1
Mixed_6b.branch7x7dbl_5 128 192 1 7
Mixed_6b.branch_pool 768 192 1 1
Mixed_6c.branch1x1 768 192 1 1
Mixed_6c.branch7x7_1 768 160 1 1
Mixed_6c.branch7x7_2 160 160 1 7
Mixed_6c.branch7x7_3 160 192 7 1
Mixed_6c.branch7x7dbl_1 768 160 1 1
Mixed_6c.branch7x7dbl_2 160 160 7 1
Mixed_6c.branch7x7dbl_3 160 160 1 7
Mixed_6c.branch7x7dbl_4 160 160 7 1
Mixed_6c.branch7x7dbl_5 160 192 1 7
Mixed_6c.branch_pool 768 192 1 1
Mixed_6d.branch1x1 768 192 1 1
Mixed_6d.branch7x7_1 768 160 1 1
Mixed_6d.branch7x7_2 160 160 1 7
Mixed_6d.branch7x7_3 160 192 7 1
Mixed_6d.branch7x7dbl_1 768 160 1 1
Mixed_6d.branch7x7dbl_2 160 160 7 1
Mixed_6d.branch7x7dbl_3 160 160 1 7
Mixed_6d.branch7x7dbl_4 160 160 7 1
Mixed_6d.branch7x7dbl_5 160 192 1 7
Mixed_6d.branch_pool 768 192 1 1
Mixed_6e.branch1x1 768 192 1 1
Mixed_6e.branch7x7_1 768 192 1 1
Mixed_6e.branch7x7_2 192 192 1 7
Mixed_6e.branch7x7_3 192 192 7 1
Mixed_6e.branch7x7dbl_1 768 192 1 1
Mixed_6e.branch7x7dbl_2 192 192 7 1
Mixed_6e.branch7x7dbl_3 192 192 1 7
Mixed_6e.branch7x7dbl_4 192 192 7 1
Mixed_6e.branch7x7dbl_5 192 192 1 7
Mixed_6e.branch_pool 768 192 1 1
Mixed_7a.branch3x3_1 768 192 1 1
Mixed_7a.branch3x3_2 192 320 3 3
Mixed_7a.branch7x7x3_1 768 192 1 1
Mixed_7a.branch7x7x3_2 192 192 1 7
Mixed_7a.branch7x7x3_3 192 192 7 1
Mixed_7a.branch7x7x3_4 192 192 3 3
Mixed_7b.branch1x1 1280 320 1 1
Mixed_7b.branch3x3_1 1280 384 1 1
Mixed_7b.branch3x3_2a 384 384 1 3
Mixed_7b.branch3x3_2b 384 384 3 1
Mixed_7b.branch3x3dbl_1 1280 448 1 1
Mixed_7b.branch3x3dbl_2 448 384 3 3
Mixed_7b.branch3x3dbl_3a 384 384 1 3
Mixed_7b.branch3x3dbl_3b 384 384 3 1
Mixed_7b.branch_pool 1280 192 1 1
Mixed_7c.branch1x1 2048 320 1 1
Mixed_7c.branch3x3_1 2048 384 1 1
Mixed_7c.branch3x3_2a 384 384 1 3
Mixed_7c.branch3x3_2b 384 384 3 1
Mixed_7c.branch3x3dbl_1 2048 448 1 1
Mixed_7c.branch3x3dbl_2 448 384 3 3
Mixed_7c.branch3x3dbl_3a 384 384 1 3
Mixed_7c.branch3x3dbl_3b 384 384 3 1
Mixed_7c.branch_pool 2048 192 1 1
"""
NORMS = ("weight", "bias", "running_mean", "running_var")
# torchvision's 27,161,264 of inception_v3 less its second head (3,326,696), with 8 outputs more.
PARAMETERS = 27_161_264 - 3_326_696 + 8 * (2048 + 1)

EPS = 1e-3


def published_shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"fc.weight": (1008, 2048), "fc.bias": (1008,)}
    for line in CONVOLUTIONS.split("\n")[1:-1]:
        name, *sizes = line.split()
        channels, width, rows, columns = map(int, sizes)
        shapes[f"{name}.conv.weight"] = (width, channels, rows, columns)
        shapes |= {f"{name}.bn.{part}": (width,) for part in NORMS}
    return shapes


def save_state(path, shapes: dict[str, tuple[int, ...]]) -> None:
    """A file of these tensors, each of one stored number."""
    torch.save({name: torch.ones(1).expand(shape) for name, shape in shapes.items()}, path)


@pytest.fixture(scope="module")
def inception() -> FIDInception:
    return draw_fid_inception(seed=0)


def test_keys_shapes_and_count_are_those_of_the_published_state_dict(inception):
    state = {
        name: tuple(tensor.shape)
        for name, tensor in inception.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert state == published_shapes()
    assert sum(parameter.numel() for parameter in inception.parameters()) == PARAMETERS


def test_a_file_without_counters_of_batches_is_read(tmp_path):
    save_state(tmp_path / "published.pth", published_shapes())
    loaded = load_fid_inception(tmp_path / "published.pth")
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert loaded.fc.weight.min() == 1.0


def test_torchvisions_weights_are_refused_by_their_thousand_outputs(tmp_path):
    torchvisions = published_shapes() | {"fc.weight": (1000, 2048), "fc.bias": (1000,)}
    save_state(tmp_path / "inception_v3.pth", torchvisions)
    with pytest.raises(WeightsError, match=r"FID's Inception: fc\.weight has shape \[1000, 2048\]"):
        load_fid_inception(tmp_path / "inception_v3.pth")


def test_a_tensor_too_many_is_refused(tmp_path):
    shapes = published_shapes() | {"AuxLogits.fc.bias": (1000,)}
    save_state(tmp_path / "more.pth", shapes)
    with pytest.raises(WeightsError, match=r"AuxLogits\.fc\.bias is unknown"):
        load_fid_inception(tmp_path / "more.pth")


def test_a_picture_becomes_2048_numbers_that_depend_on_it(inception):
    features = inception(random_input(2, 3, SIDE, SIDE).clamp(-1, 1))
    assert features.shape == (2, FEATURES)
    assert features.min() >= 0
    # Random weights were drawn so that the picture is not lost on the way through them.
    assert (features[0] - features[1]).norm() > 0.01 * features[0].norm()


def windows(x: np.ndarray) -> list[list[np.ndarray]]:
    """The values (channels, n) of the 3 x 3 window around each position, without what lies outside."""
    height, width = x.shape[1:]
    return [
        [
            x[:, max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2].reshape(len(x), -1)
            for c in range(width)
        ]
        for r in range(height)
    ]


@pytest.mark.parametrize(
    ("block", "pool"),
    [
        ("Mixed_5b", np.mean),
        ("Mixed_5d", np.mean),
        ("Mixed_6b", np.mean),
        ("Mixed_6e", np.mean),
        ("Mixed_7b", np.mean),
        ("Mixed_7c", np.max),
    ],
)
def test_each_block_pools_as_the_graph_of_2015_did(inception, block, pool):
    part = getattr(inception, block).branch_pool
    x = random_input(1, part.conv.in_channels, 4, 5)
    pooled = np.array([[pool(w, axis=1) for w in row] for row in windows(x[0].numpy())])
    norm = {name: tensor.numpy() for name, tensor in part.bn.named_buffers()}
    scale = part.bn.weight.numpy() / np.sqrt(norm["running_var"] + EPS)
    conv = pooled @ part.conv.weight[:, :, 0, 0].numpy().T
    expected = np.maximum((conv - norm["running_mean"]) * scale + part.bn.bias.numpy(), 0)
    branch = getattr(inception, block)(x)[0, -expected.shape[-1] :].numpy()
    # float32 in another order of summation, over at most 2048 channels.
    np.testing.assert_allclose(branch.transpose(1, 2, 0), expected, rtol=1e-4, atol=1e-5)
