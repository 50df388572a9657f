"""Each published figure again, number by number, with its source and how sure it is."""

import pytest

from dcae_export.evaluation.published import Dataset, Evidence, find_generation, find_reconstruction
from dcae_export.models.presets import PRESETS
from dcae_export.models.transformer_presets import (
    BACKBONES,
    TRANSFORMERS,
    transformer_name,
    transformer_preset,
)

REPOSITORY, PAPER, UNCONFIRMED = Evidence.REPOSITORY, Evidence.PAPER, Evidence.UNCONFIRMED
IMAGENET, MJHQ = Dataset.IMAGENET, Dataset.MJHQ
F32, F64, F128 = "dc-ae-f32c32-in-1.0", "dc-ae-f64c128-in-1.0", "dc-ae-f128c512-in-1.0"

RECONSTRUCTION = [
    (F32, IMAGENET, 256, "rFID", "0.69", PAPER, "2410.10733"),
    (F32, IMAGENET, 256, "PSNR", "23.85", PAPER, "2410.10733"),
    (F32, IMAGENET, 256, "SSIM", "0.66", PAPER, "2410.10733"),
    (F32, IMAGENET, 256, "LPIPS", "0.082", PAPER, "2410.10733"),
    (F64, IMAGENET, 256, "rFID", "0.81", UNCONFIRMED, "2410.10733"),
    (F64, IMAGENET, 256, "PSNR", "23.60", UNCONFIRMED, "2410.10733"),
    (F64, IMAGENET, 256, "SSIM", "0.65", UNCONFIRMED, "2410.10733"),
    (F64, IMAGENET, 256, "LPIPS", "0.087", UNCONFIRMED, "2410.10733"),
    (F64, IMAGENET, 512, "rFID", "0.21678", REPOSITORY, "dc_ae/README.md"),
    (F64, IMAGENET, 512, "PSNR", "26.1489", REPOSITORY, "dc_ae/README.md"),
    (F64, IMAGENET, 512, "SSIM", "0.71049", REPOSITORY, "dc_ae/README.md"),
    (F64, IMAGENET, 512, "LPIPS", "0.08023", REPOSITORY, "dc_ae/README.md"),
    (F128, IMAGENET, 512, "rFID", "0.23", PAPER, "2410.10733"),
    (F128, IMAGENET, 512, "PSNR", "25.73", UNCONFIRMED, "2410.10733"),
    (F128, IMAGENET, 512, "SSIM", "0.70", UNCONFIRMED, "2410.10733"),
    (F128, IMAGENET, 512, "LPIPS", "0.084", UNCONFIRMED, "2410.10733"),
    ("dc-ae-f32c32-sana-1.0", MJHQ, 1024, "rFID", "0.339", REPOSITORY, "dc_ae_sana_1.1.md"),
    ("dc-ae-f32c32-sana-1.0", MJHQ, 1024, "PSNR", "29.31", REPOSITORY, "dc_ae_sana_1.1.md"),
    ("dc-ae-f32c32-sana-1.0", MJHQ, 1024, "SSIM", "0.84", PAPER, "2410.10629"),
    ("dc-ae-f32c32-sana-1.0", MJHQ, 1024, "LPIPS", "0.05", PAPER, "2410.10629"),
    ("dc-ae-f32c32-sana-1.1", MJHQ, 1024, "rFID", "0.314", REPOSITORY, "dc_ae_sana_1.1.md"),
    ("dc-ae-f32c32-sana-1.1", MJHQ, 1024, "PSNR", "29.74", REPOSITORY, "dc_ae_sana_1.1.md"),
    ("sd-f8", IMAGENET, 256, "rFID", "0.90", PAPER, "2410.10733"),
    ("sd-f32", IMAGENET, 256, "rFID", "2.64", UNCONFIRMED, "2410.10733"),
    ("sd-f32", IMAGENET, 256, "PSNR", "22.13", UNCONFIRMED, "2410.10733"),
    ("sd-f32", IMAGENET, 256, "SSIM", "0.59", UNCONFIRMED, "2410.10733"),
    ("sd-f32", IMAGENET, 256, "LPIPS", "0.117", UNCONFIRMED, "2410.10733"),
    ("sd-f64", IMAGENET, 256, "rFID", "26.65", UNCONFIRMED, "2410.10733"),
    ("sd-f64", IMAGENET, 256, "PSNR", "18.07", UNCONFIRMED, "2410.10733"),
    ("sd-f64", IMAGENET, 256, "SSIM", "0.41", UNCONFIRMED, "2410.10733"),
    ("sd-f64", IMAGENET, 256, "LPIPS", "0.283", UNCONFIRMED, "2410.10733"),
    ("sd-f64", IMAGENET, 512, "rFID", "16.84", PAPER, "2410.10733"),
    ("sd-f64", IMAGENET, 512, "PSNR", "19.49", UNCONFIRMED, "2410.10733"),
    ("sd-f64", IMAGENET, 512, "SSIM", "0.48", UNCONFIRMED, "2410.10733"),
    ("sd-f64", IMAGENET, 512, "LPIPS", "0.282", UNCONFIRMED, "2410.10733"),
]

# Autoencoder, transformer, guidance.
GENERATION = [
    (F32, f"{F32}-dit-xl-in-512px", 1.0, "9.56", REPOSITORY, "dc_ae/README.md"),
    (F32, f"{F32}-dit-xl-in-512px", 1.3, "2.84", REPOSITORY, "dc_ae/README.md"),
    (F32, f"{F32}-dit-xl-in-512px-trainbs1024", 1.0, "6.88", REPOSITORY, "dc_ae/README.md"),
    (F32, f"{F32}-uvit-s-in-512px", 1.0, "46.12", REPOSITORY, "dc_ae/README.md"),
    (F32, f"{F32}-uvit-s-in-512px", 1.5, "18.08", REPOSITORY, "dc_ae/README.md"),
    (F32, f"{F32}-uvit-h-in-512px", 1.0, "9.83", REPOSITORY, "dc_ae/README.md"),
    (F32, f"{F32}-uvit-h-in-512px", 1.5, "2.53", REPOSITORY, "dc_ae/README.md"),
    (F32, f"{F32}-uvit-2b-in-512px", 1.0, "8.13", REPOSITORY, "dc_ae/README.md"),
    (F32, f"{F32}-uvit-2b-in-512px", 1.5, "2.30", REPOSITORY, "dc_ae/README.md"),
    (F32, f"{F32}-usit-h-in-512px", 1.0, "3.80", REPOSITORY, "dc_ae/README.md"),
    (F32, f"{F32}-usit-h-in-512px", 1.2, "1.89", REPOSITORY, "dc_ae/README.md"),
    (F32, f"{F32}-usit-2b-in-512px", 1.0, "2.90", REPOSITORY, "dc_ae/README.md"),
    (F32, f"{F32}-usit-2b-in-512px", 1.15, "1.72", REPOSITORY, "dc_ae/README.md"),
    (F64, f"{F64}-uvit-s", 1.0, "67.30", PAPER, "2410.10733"),
    (F64, f"{F64}-uvit-s", 1.5, "35.96", PAPER, "2410.10733"),
    (F64, f"{F64}-uvit-h-in-512px", 1.0, "13.96", REPOSITORY, "dc_ae/README.md"),
    (F64, f"{F64}-uvit-h-in-512px", 1.5, "3.01", REPOSITORY, "dc_ae/README.md"),
    (F64, f"{F64}-uvit-h-in-512px-train2000k", 1.0, "12.26", REPOSITORY, "dc_ae/README.md"),
    (F64, f"{F64}-uvit-h-in-512px-train2000k", 1.5, "2.66", REPOSITORY, "dc_ae/README.md"),
    (F64, f"{F64}-uvit-2b-in-512px", 1.0, "7.78", REPOSITORY, "dc_ae/README.md"),
    (F64, f"{F64}-uvit-2b-in-512px", 1.5, "2.47", REPOSITORY, "dc_ae/README.md"),
    (F64, f"{F64}-uvit-2b-in-512px-train2000k", 1.0, "6.50", REPOSITORY, "dc_ae/README.md"),
    (F64, f"{F64}-uvit-2b-in-512px-train2000k", 1.5, "2.25", REPOSITORY, "dc_ae/README.md"),
    ("sd-f8", "sd-f8-uvit-s", 1.0, "51.96", REPOSITORY, "figure of FID over size"),
    ("sd-f8", "sd-f8-uvit-s", 1.5, "24.57", UNCONFIRMED, "2410.10733"),
    ("sd-f8", "sd-f8-uvit-h", 1.0, "11.04", PAPER, "2410.10733"),
    ("sd-f8", "sd-f8-uvit-h", 1.5, "3.55", PAPER, "2410.10733"),
    ("sd-f8", "sd-f8-uvit-2b", 1.0, "9.73", REPOSITORY, "figure of FID over size"),
    ("sd-f8", "sd-f8-dit-xl", 1.0, "12.03", UNCONFIRMED, "2410.10733"),
    ("sd-f8", "sd-f8-dit-xl", 1.3, "3.04", PAPER, "2410.10733"),
]


@pytest.mark.parametrize("row", RECONSTRUCTION, ids=lambda row: f"{row[0]}-{row[2]}-{row[3]}")
def test_a_figure_of_reconstruction_is_the_published_one(row):
    preset, dataset, size, name, digits, evidence, source = row
    found = find_reconstruction(preset, dataset=dataset, size=size)[name]
    assert (str(found.value), found.evidence) == (digits, evidence)
    assert source in found.source
    assert found.count == {IMAGENET: 50_000, MJHQ: 30_000}[dataset]
    assert f"{size} px" in found.setting


@pytest.mark.parametrize("row", GENERATION, ids=lambda row: f"{row[1]}-{row[2]}")
def test_a_figure_of_generation_is_the_published_one(row):
    autoencoder, transformer, guidance, digits, evidence, source = row
    found = find_generation(transformer, guidance=guidance)["FID"]
    assert (str(found.value), found.evidence) == (digits, evidence)
    assert source in found.source
    assert found.count == 50_000
    # The name is one that a bundle can bear, and the scale the one that is sampled with unless another is given.
    if transformer not in TRANSFORMERS:
        (backbone,) = [name for name in BACKBONES if transformer == f"{autoencoder}-{name}"]
        assert transformer_name(backbone, autoencoder=autoencoder) == transformer
        default = BACKBONES[backbone].guidance
    else:
        default = transformer_preset(transformer, autoencoder=autoencoder).default_guidance
    assert guidance in {1.0, default}


def test_nothing_else_was_published_for_any_preset():
    found = {
        (preset, dataset, size, name)
        for preset in PRESETS
        for dataset in Dataset
        for size in (128, 256, 512, 1024, 2048)
        for name in find_reconstruction(preset, dataset=dataset, size=size)
    }
    assert found == {row[:4] for row in RECONSTRUCTION}


def test_every_published_transformer_has_its_figure_without_guidance():
    assert all(find_generation(name, guidance=1.0) for name in TRANSFORMERS)


def test_other_pictures_sizes_scales_and_names_have_nothing_published():
    assert find_reconstruction(F64, dataset=None, size=512) == {}
    assert find_reconstruction(F64, dataset=MJHQ, size=512) == {}
    assert find_reconstruction(F64, dataset=IMAGENET, size=513) == {}
    assert find_reconstruction("custom", dataset=IMAGENET, size=512) == {}
    assert find_generation(f"{F64}-uvit-h-in-512px", guidance=1.4) == {}
    assert find_generation("custom", guidance=1.0) == {}


def test_a_figure_keeps_the_digits_that_were_published():
    found = find_reconstruction("sd-f8", dataset=IMAGENET, size=256)["rFID"]
    assert found.decimals == 2
    assert found.as_json()["value"] == 0.9
