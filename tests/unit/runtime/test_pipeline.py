"""Requests cut into calls that the graphs take, with a transformer written by hand."""

from pathlib import Path

import numpy as np
import pytest
from bundle_factory import edit_manifest
from fake_nvidia import FakeMachine, use_machine
from gaussian_data import UVIT
from generation_factory import GRID, fix_sizes, write_generating_bundle

from dcae_export.errors import BundleError, ResourceError
from dcae_export.runtime import pipeline
from dcae_export.runtime.pipeline import Pipeline
from dcae_export.runtime.provider_options import CudaOptions
from dcae_export.runtime.session import Session

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


def test_what_is_left_over_of_a_request_opens_an_engine_of_its_own(bundle, expected, monkeypatch):
    opened: list[int] = []

    class OneShape(Session):
        """Recorded by TensorRT, whose engine takes no other batch than its own."""

        def __init__(self, files, **options) -> None:
            super().__init__(files, **options)
            self.batch = options["axes"]["batch"]
            opened.append(self.batch)

        def takes(self, axes) -> bool:
            return axes["batch"] == self.batch

    monkeypatch.setattr(pipeline, "Session", OneShape)
    for keeps in (True, False):
        recorded = Pipeline.open(bundle, keep_sessions=keeps)
        monkeypatch.setattr(recorded, "_images_per_call", lambda *_, **__: 2)
        assert np.array_equal(recorded.generate(LABELS, seed=5), expected)
    assert opened == [4, 2, 4, 2]


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


@pytest.mark.parametrize("pictures", [1, 2, 3])
def test_a_call_makes_as_many_pictures_as_the_memory_holds(bundle, expected, pictures):
    # Both halves of guidance: two rows for each picture.
    limit = max(Pipeline.open(bundle)._forecast(GRID, 2 * pictures))
    fitted = Pipeline.open(bundle, memory_limit=limit)
    assert fitted.evaluations(len(LABELS)) == 3 * -(-len(LABELS) // pictures)
    assert np.array_equal(fitted.generate(LABELS, seed=5), expected)


def test_what_not_even_one_picture_fits_in_is_refused(bundle):
    limit = max(Pipeline.open(bundle)._forecast(GRID, 2))
    with pytest.raises(ResourceError, match="MiB of memory, the limit is"):
        Pipeline.open(bundle, memory_limit=limit - 1).generate(LABELS, seed=5)


def test_on_a_gpu_the_memory_is_that_of_the_gpu(bundle, monkeypatch):
    use_machine(monkeypatch, FakeMachine(free=max(Pipeline.open(bundle)._forecast(GRID, 2))))
    on_gpu = Pipeline.open(bundle, provider=CudaOptions())
    assert on_gpu.evaluations(len(LABELS)) == 3 * len(LABELS)
    assert Pipeline.open(bundle).evaluations(len(LABELS)) == 3


def test_the_lower_of_two_limits_bounds_the_gpus_arena(bundle):
    limited = Pipeline.open(bundle, provider=CudaOptions(memory_limit=5), memory_limit=4)
    assert limited._provider == CudaOptions(memory_limit=4)
    assert Pipeline.open(bundle, provider=CudaOptions(memory_limit=5))._provider.memory_limit == 5


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
