"""What a user can choose about an export, and what is no choice."""

import pytest

from dcae_export.errors import UsageError
from dcae_export.export.options import ExportOptions

DOWNSAMPLE = 32


def test_no_size_means_graphs_for_any_size():
    assert ExportOptions().grid(DOWNSAMPLE) is None


def test_a_size_in_pixels_becomes_a_grid_of_latent_positions():
    assert ExportOptions(size=(512, 1024)).grid(DOWNSAMPLE) == (1, 16, 32)
    assert ExportOptions(size=(32, 64), batch=3).grid(DOWNSAMPLE) == (3, 1, 2)


@pytest.mark.parametrize(
    ("side", "nearest"),
    [(500, "480 and 512"), (33, "32 and 64"), (31, "32 and 64"), (1000, "992 and 1024")],
)
@pytest.mark.parametrize("place", [0, 1], ids=["height", "width"])
def test_a_size_between_two_legal_ones_names_both(side, nearest, place):
    size = (side, 512) if place == 0 else (512, side)
    with pytest.raises(UsageError) as caught:
        ExportOptions(size=size).grid(DOWNSAMPLE)
    assert str(caught.value) == f"size {side} is no multiple of 32; the nearest are {nearest}"


@pytest.mark.parametrize("side", [0, -32])
def test_a_size_below_one_position_is_refused(side):
    with pytest.raises(UsageError, match="the nearest are 32 and 64"):
        ExportOptions(size=(side, 512)).grid(DOWNSAMPLE)


def test_a_batch_without_a_size_is_refused():
    with pytest.raises(UsageError, match="a batch size goes with --size"):
        ExportOptions(batch=2)


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_of_no_pictures_is_refused(batch):
    with pytest.raises(UsageError, match="at least one picture"):
        ExportOptions(size=(32, 32), batch=batch)
