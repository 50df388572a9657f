"""Pictures of another size in C++: OpenCV's pixels but for one level, as OpenCV's own are on other machines."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from cpp_runtime import ROOT, SOURCE, require_compiler, run
from numpy.typing import NDArray

from dcae_export.runtime.fit import Fit, cover, fit

pytestmark = pytest.mark.integration


@pytest.fixture(params=[True, False], ids=["ipp", "plain"], autouse=True)
def _code_of_opencv(request: pytest.FixtureRequest) -> Iterator[None]:
    """Intel's, which x86 has by default, and OpenCV's own: they differ from each other by a level."""
    before = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(request.param)
    yield
    cv2.ipp.setUseIPP(before)


@pytest.fixture(scope="module")
def resize(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of tests/cpp_fit, with the options of the runtime's build that decide bits."""
    require_compiler()
    program = tmp_path_factory.mktemp("fit") / "fit"
    sources = (ROOT / "tests" / "cpp_fit" / "fit.cpp", SOURCE / "src" / "fit.cpp")
    run(
        "g++",
        "-std=c++17",
        "-O2",
        "-ffp-contract=off",
        *sources,
        "-I",
        SOURCE / "src",
        "-o",
        program,
    )
    return program


def resized(
    program: Path, picture: NDArray[np.uint8], to: tuple[int, ...], shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    command = [str(program), *map(str, (*picture.shape[:2], *to))]
    done = subprocess.run(command, input=picture.tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(shape)


def assert_within_one_level(found: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
    assert np.abs(found.astype(int) - expected).max() <= 1


# Of noise, on which every weight shows. Shrinking, growing, growing along one side only, a single pixel.
@pytest.mark.parametrize(
    ("size", "divisor"),
    [
        ((66, 70), 64),
        ((150, 90), 64),
        ((200, 300), 32),
        ((50, 50), 64),
        ((97, 101), 8),
        ((300, 65), 64),
        ((10, 300), 32),
        ((1, 1), 32),
        ((521, 773), 64),
    ],
)
def test_a_picture_is_resized_as_by_opencv_but_for_one_level(
    resize: Path, size: tuple[int, int], divisor: int
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected, _ = fit(noise, divisor=divisor, mode=Fit.RESIZE)
    assert expected.shape != noise.shape
    assert_within_one_level(resized(resize, noise, (divisor,), expected.shape), expected)


@pytest.mark.parametrize(
    "size", [(128, 96), (192, 144), (256, 192), (150, 150), (20, 300), (64, 1)]
)
def test_a_picture_covers_a_size_as_by_opencv_but_for_one_level(
    resize: Path, size: tuple[int, int]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = cover(noise, size=(64, 48))
    assert_within_one_level(resized(resize, noise, (64, 48), expected.shape), expected)


# What lies between two levels shows which way is rounded: a quarter of all sums of four, less of more.
@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_whole_areas_are_averaged_as_by_opencv(resize: Path, factor: int) -> None:
    shape = (64 * factor, 48 * factor, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    expected = cover(noise, size=(64, 48))
    assert np.array_equal(resized(resize, noise, (64, 48), expected.shape), expected)
