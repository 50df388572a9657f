"""Requests cut into calls that the graphs take, with a transformer written by hand."""

from pathlib import Path

import numpy as np
import pytest
from bundle_factory import edit_manifest
from gaussian_data import UVIT
from generation_factory import GRID, fix_sizes, write_generating_bundle

from dcae_export.errors import BundleError, ResourceError
from dcae_export.runtime.pipeline import Pipeline

LABELS = [0, 3, 1]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_generating_bundle(tmp_path / "bundle", UVIT, "ddim:3")


@pytest.fixture
def expected(bundle: Path) -> np.ndarray:
    """What the graphs of any size give, before anything is edited."""
    return Pipeline.open(bundle).generate(LABELS, seed=5)


@pytest.mark.parametrize("pictures", [1, 2, 4])
def test_graphs_of_a_fixed_batch_give_the_pictures_of_any_other(bundle, expected, pictures):
    def edit(content: dict) -> None:
        content.update(golden=[])
        fix_sizes(content["graphs"]["decoder"], rows=pictures)
        # Both halves of guidance.
        fix_sizes(content["graphs"]["transformer"], rows=2 * pictures)

    edit_manifest(bundle, edit)
    fixed = Pipeline.open(bundle)
    assert np.array_equal(fixed.generate(LABELS, seed=5), expected)
    assert fixed.evaluations(len(LABELS)) == 3 * -(-len(LABELS) // pictures)


@pytest.mark.parametrize(("most", "calls"), [(2, 3), (5, 2), (16, 1)])
def test_a_call_has_no_more_rows_than_the_transformer_takes(bundle, expected, most, calls):
    def edit(content: dict) -> None:
        content["graphs"]["transformer"]["ranges"]["batch"].update(max=most)

    edit_manifest(bundle, edit)
    narrow = Pipeline.open(bundle)
    assert np.array_equal(narrow.generate(LABELS, seed=5), expected)
    assert narrow.evaluations(len(LABELS)) == 3 * calls


def test_the_largest_square_that_fits_is_the_largest(bundle):
    def smallest_limit(side: int) -> int:
        """The memory with which a square just fits, found by halving."""
        low, high = 0, 2**30
        while high - low > 1:
            limit = (low + high) // 2
            try:
                Pipeline.open(bundle, memory_limit=limit)._require_memory((side, side), 2)
            except ResourceError:
                low = limit
            else:
                high = limit
        return high

    limit = smallest_limit(5)
    with pytest.raises(ResourceError, match="up to 10x10 fit"):
        Pipeline.open(bundle, memory_limit=limit).generate([1], size=(16, 16))
    with pytest.raises(ResourceError, match="up to 8x8 fit"):
        Pipeline.open(bundle, memory_limit=limit - 1).generate([1], size=(16, 16))


def test_a_picture_cannot_be_varied_without_an_encoder(bundle):
    image = np.zeros((2 * GRID[0], 2 * GRID[1], 3), np.uint8)
    with pytest.raises(BundleError, match="no encoder in this bundle"):
        Pipeline.open(bundle).generate([1], image=image, strength=0.7)


def smallest(works) -> int:
    """The least number of bytes with which ``works`` does not raise ResourceError and returns True."""
    low, high = 0, 2**30
    while high - low > 1:
        middle = (low + high) // 2
        try:
            low, high = (low, middle) if works(middle) else (middle, high)
        except ResourceError:
            low = middle
    return high


def test_sessions_are_kept_where_the_limit_holds_both_and_released_where_it_does_not(bundle):
    def opened(limit: int) -> Pipeline:
        pipeline = Pipeline.open(bundle, memory_limit=limit, keep_sessions=True)
        pipeline.sample(LABELS, seed=5)
        return pipeline

    one = smallest(lambda limit: bool(Pipeline.open(bundle, memory_limit=limit).checked_size()))
    both = smallest(lambda limit: opened(limit)._transformer is not None)
    assert one < both
    assert opened(both - 1)._transformer is None
