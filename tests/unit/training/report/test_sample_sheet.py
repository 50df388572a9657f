import math

import numpy as np
import torch
from training_recipes import sample

from dcae_export.pictures.pixels import to_uint8
from dcae_export.pictures.sheet import side_by_side
from dcae_export.training.report.sample_sheet import sample_sheet


def test_one_sample_is_picture_reconstruction_and_error():
    event = sample(7)
    sheet = sample_sheet(event.images, event.reconstructions, step=7)
    (original,), (back,) = (
        to_uint8(images.numpy()) for images in (event.images, event.reconstructions)
    )
    assert np.array_equal(sheet, side_by_side(original, back, label="step 7"))


def test_several_samples_are_tiled():
    event = sample(1, count=4)
    sheet = sample_sheet(event.images, event.reconstructions, step=1)
    single = sample_sheet(event.images[:1], event.reconstructions[:1], step=1)
    assert np.array_equal(sheet[: single.shape[0], : single.shape[1]], single)
    assert sheet.shape[0] > 2 * single.shape[0]
    assert sheet.shape[1] > 2 * single.shape[1]


def test_a_reconstruction_that_is_not_finite_is_drawn_black_and_called_so():
    event = sample(1)
    damaged = event.reconstructions.clone()
    damaged[0, :, 0, 0] = math.nan
    sheet = sample_sheet(event.images, damaged, step=1)
    damaged[0, :, 0, 0] = -1
    black = sample_sheet(event.images, damaged, step=1)
    changed = np.argwhere((sheet != black).any(axis=2))
    # Only the title differs.
    assert len(changed)
    assert changed[:, 0].max() < 40


def test_half_precision_is_drawn():
    event = sample(1)
    half = event.reconstructions.to(torch.bfloat16).requires_grad_()
    assert sample_sheet(event.images, half, step=1).dtype == np.uint8
