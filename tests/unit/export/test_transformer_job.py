import dataclasses

import pytest
import torch
from export_factory import TINY
from transformers_factory import GRID, LINEAR, SCALED_LINEAR, TINY_DIT, TINY_UVIT, tiny_transformer

from dcae_export.errors import UsageError
from dcae_export.export.graph_export import GraphJob
from dcae_export.export.options import ExportOptions
from dcae_export.export.transformer_job import transformer_job
from dcae_export.models.uvit import resize_positions

UVIT = tiny_transformer(TINY_UVIT, SCALED_LINEAR, sampler="ddim:3")
LARGER, LARGEST = (8, 8), (10, 14)
SEEN = dataclasses.replace(UVIT, other_grids=(LARGER,))


def pixels(grid: tuple[int, int]) -> tuple[int, int]:
    return grid[0] * TINY.downsample, grid[1] * TINY.downsample


def job(checkpoint=SEEN, **options: object) -> GraphJob:
    return transformer_job(checkpoint, ExportOptions(**options), TINY)


def grid_of(job: GraphJob) -> tuple[object, ...]:
    return job.signature.inputs[0].shape[2:]


def test_a_size_that_training_has_seen_needs_no_other_option():
    found = job(size=pixels(LARGER))
    assert grid_of(found) == LARGER
    expected, _ = resize_positions(UVIT.state, TINY_UVIT, grid=LARGER)
    assert torch.equal(found.module.state_dict()["pos_embed"], expected["pos_embed"])


def test_without_a_size_a_graph_is_for_the_grid_of_the_configuration():
    found = job()
    assert grid_of(found) == GRID
    assert torch.equal(found.module.state_dict()["pos_embed"], UVIT.state["pos_embed"])


@pytest.mark.parametrize("checkpoint", [UVIT, SEEN], ids=["one grid", "two grids"])
def test_for_a_size_that_training_has_not_seen_positions_are_stretched_when_asked(checkpoint):
    size = pixels(LARGEST)
    with pytest.raises(UsageError, match="has positions for 12x8 pixels; --interpolate-positions"):
        job(checkpoint, size=size)
    assert grid_of(job(checkpoint, size=size, interpolate_positions=size)) == LARGEST
    assert grid_of(job(checkpoint, interpolate_positions=size)) == LARGEST


def test_positions_that_are_stretched_to_another_size_do_not_go_with_one_that_was_seen():
    with pytest.raises(UsageError, match="has positions for 28x20 pixels"):
        job(size=pixels(LARGER), interpolate_positions=pixels(LARGEST))


def test_a_dit_takes_any_size():
    dit = tiny_transformer(TINY_DIT, LINEAR, sampler="ddim:3")
    assert grid_of(job(dit, size=pixels(LARGEST))) == LARGEST
    assert grid_of(job(dit)) == ("height", "width")
