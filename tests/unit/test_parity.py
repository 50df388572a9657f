"""Judging a difference."""

import dataclasses

import numpy as np
import pytest

from dcae_export.parity import (
    FP16_LATENTS,
    FP16_PICTURES,
    FP16_TRAJECTORY,
    FP32,
    UINT8,
    difference,
    tolerance_of,
)

REFERENCE = np.linspace(-1, 1, 1001, dtype=np.float32)


def off_by(rms: float) -> np.ndarray:
    """The reference with an error of this root mean square, uncorrelated with it."""
    noise = np.random.default_rng(0).standard_normal(REFERENCE.shape)
    return (REFERENCE + rms * noise / np.sqrt(np.mean(noise**2))).astype(np.float32)


def test_a_picture_in_float16_is_within_40_db():
    # The range is 2: 40 dB are a hundredth of it.
    assert difference(off_by(0.0199), REFERENCE).within(FP16_PICTURES)
    assert not difference(off_by(0.0201), REFERENCE).within(FP16_PICTURES)


@pytest.mark.parametrize(("tolerance", "cosine"), [(FP16_LATENTS, 0.999), (FP16_TRAJECTORY, 0.99)])
def test_a_latent_in_float16_points_the_same_way(tolerance, cosine):
    angle = np.sqrt(1 / cosine**2 - 1) * np.sqrt(np.mean(REFERENCE.astype(np.float64) ** 2))
    inside, outside = (difference(off_by(angle * share), REFERENCE) for share in (0.9, 1.1))
    assert inside.cosine > cosine > outside.cosine
    assert inside.within(tolerance)
    assert not outside.within(tolerance)


def test_the_cosine_alone_refuses_what_the_other_bounds_let_pass():
    loose = dataclasses.replace(FP16_LATENTS, relative_l2=9.0, max_abs=9.0)
    turned = difference(-REFERENCE, REFERENCE)
    assert turned.cosine == pytest.approx(-1)
    assert not turned.within(loose)


def test_what_is_not_finite_is_within_nothing():
    broken = REFERENCE.copy()
    broken[3] = np.nan
    found = difference(broken, REFERENCE)
    assert found.cosine == 0.0
    for tolerance in (FP32, FP16_PICTURES, FP16_LATENTS, FP16_TRAJECTORY):
        assert not found.within(tolerance)


def test_equal_arrays_have_no_psnr_and_are_within_everything():
    found = difference(REFERENCE, REFERENCE)
    assert found.psnr_db is None
    for tolerance in (FP32, UINT8, FP16_PICTURES, FP16_LATENTS, FP16_TRAJECTORY):
        assert found.within(tolerance)


def test_each_output_has_the_tolerance_of_its_kind_and_precision():
    assert tolerance_of("image", "uint8", precision="fp32") is UINT8
    assert tolerance_of("latent", "float32", precision="fp32") is FP32
    assert tolerance_of("image", "uint8", precision="fp16") is FP16_PICTURES
    assert tolerance_of("latent", "float32", precision="fp16") is FP16_LATENTS
    assert tolerance_of("output", "float32", precision="fp16") is FP16_LATENTS


def test_a_tolerance_says_all_its_bounds():
    assert str(FP32) == "relative L2 1e-05 and max abs 0.001 of the range"
    assert "PSNR at least 40 dB" in str(FP16_PICTURES)
    assert "cosine at least 0.999" in str(FP16_LATENTS)
