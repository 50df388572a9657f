import torch
from latent_folders import labels_of, latents_of

from dcae_export.training.latents.batch import LatentBatch


def test_a_batch_goes_to_a_device_with_its_labels():
    batch = LatentBatch(latents=latents_of([1, 2]), labels=labels_of([1, 2]))
    moved = batch.to(torch.device("meta"), non_blocking=True)
    assert moved.labels is not None
    assert len(moved) == len(batch) == 2
    assert moved.latents.device.type == moved.labels.device.type == "meta"


def test_a_batch_without_labels_stays_without():
    moved = LatentBatch(latents=latents_of([1]), labels=None).to(torch.device("cpu"))
    assert moved.labels is None
    assert torch.equal(moved.latents, latents_of([1]))
