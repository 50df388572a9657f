"""Published sizes, and the demo model's: every graph gives Python and C++ the same bits."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cpp_runtime import ROOT, built, onnxruntime_library, require_compiler, run
from export_factory import photographs
from program import dcae

from dcae_export.pictures.picture_file import read_picture, write_picture

pytestmark = pytest.mark.integration

SIDE_PIXELS = 512
_RANDOM = ("--weights", "random:0", "--transformer-weights", "random:1")
# The demo model with its own weights and sampler; the others of random weights, so that nothing is fetched, with
# samplers of few evaluations. All are guided.
MODELS = {
    "demo": ("f64-demo",),
    "f32": ("f32", "--transformer", "uvit-s", "--sampler", "ddim:2", *_RANDOM),
    "f64": ("f64", "--transformer", "uvit-h", "--sampler", "dpmpp-singlestep:2", *_RANDOM),
}


@pytest.fixture(
    scope="module",
    params=[
        "demo",
        pytest.param("f32", marks=pytest.mark.slow),
        pytest.param("f64", marks=pytest.mark.slow),
    ],
)
def bundle(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A bundle of up to gigabytes, which pytest would keep after the test."""
    require_compiler()
    folder = tmp_path_factory.mktemp("full-size")
    dcae("export", "--variant", *MODELS[request.param], "--out", folder / "bundle")
    yield folder / "bundle"
    shutil.rmtree(folder)


def test_every_graph_gives_the_same_bits_in_python_and_cpp(bundle: Path, tmp_path: Path) -> None:
    (photo,) = photographs(1, SIDE_PIXELS, SIDE_PIXELS)
    write_picture(tmp_path / "photo.png", photo)
    programs = {
        "cpp": (built("release"),),
        "python": (sys.executable, "-m", "runtimes.conformance.python_runtime"),
    }
    environment = {"DCAE_ONNXRUNTIME": str(onnxruntime_library()), "PYTHONPATH": str(ROOT)}
    request = ("--label", "3", "--seed", "7", "--threads", "1", "--out")
    for name, program in programs.items():
        out = tmp_path / name
        out.mkdir()
        for command in (
            ("encode", bundle, tmp_path / "photo.png", "--threads", "1", "--out", "latent.npy"),
            ("decode", bundle, out / "latent.npy", "--threads", "1", "--out", "decoded.png"),
            ("sample", bundle, *request, "latents.npy"),
            ("generate", bundle, *request, "generated.png"),
        ):
            run(*program, *command[:-1], out / command[-1], **environment)
    for name in ("latent.npy", "latents.npy"):
        of_cpp, of_python = (np.load(tmp_path / part / name) for part in programs)
        assert of_cpp.std() > 0
        assert of_cpp.tobytes() == of_python.tobytes(), name
    for name in ("decoded.png", "generated.png"):
        of_cpp, of_python = (read_picture(tmp_path / part / name) for part in programs)
        assert np.array_equal(of_cpp, of_python), name
