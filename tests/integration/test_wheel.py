"""The distributions: what is in them, and that the wheel runs a bundle where PyTorch was never installed."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from autoencoders import shrink, small_checkpoint

from dcae_export.export.exporter import export
from dcae_export.export.options import ExportOptions
from dcae_export.models import shipped
from dcae_export.models.presets import PRESETS

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
# What a build reads; the rest of a working tree is gigabytes.
SOURCES = (
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "MANIFEST.in",
    "constraints.txt",
    "pyproject.toml",
)
NOT_INSTALLED = ("torch", "onnx", "onnx_ir", "onnxscript", "safetensors", "skimage")


@pytest.fixture(scope="module")
def distributions(tmp_path_factory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("distributions")
    source = folder / "source"
    for name in ("dcae_export", "docs", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCES:
        shutil.copy(ROOT / name, source)
    # The environment's own setuptools: nothing is fetched.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", source)
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(distributions) -> Path:
    """The wheel."""
    (path,) = distributions.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def fresh_python(wheel, tmp_path_factory) -> Path:
    """The interpreter of an environment that holds the wheel with [cpu], and nothing else."""
    environment = tmp_path_factory.mktemp("fresh") / "environment"
    run(sys.executable, "-m", "venv", environment)
    python = environment / "bin" / "python"
    install = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*install, "-c", ROOT / "constraints.txt", f"{wheel}[cpu]")
    return python


@pytest.fixture(scope="module")
def small_bundle(tmp_path_factory) -> Path:
    """A real bundle, a sixteenth of f32 wide."""
    checkpoint = small_checkpoint(shrink(PRESETS["dc-ae-f32c32-in-1.0"].config))
    return export(checkpoint, tmp_path_factory.mktemp("bundles") / "small", ExportOptions())


def run(*command: object) -> str:
    """Run a command away from the sources, and return what it printed."""
    result = subprocess.run(
        [str(word) for word in command],
        cwd=Path(sys.executable).anchor,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout


def package_files() -> set[str]:
    """The files of the package in the working tree that belong into a distribution."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "dcae_export").rglob("*")
        if path.suffix
        in {".py", ".json", ".yaml", ".txt", ".typed", ".jinja", ".md", ".safetensors"}
    }


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == package_files()
    assert {
        "dcae_export/py.typed",
        "dcae_export/bundle/manifest.schema.json",
        "dcae_export/recipes/export/f64-2048.yaml",
        "dcae_export/recipes/train/fine-tune.yaml",
    } <= inside
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_demo_model_is_in_both_distributions_and_within_its_bound(distributions, wheel):
    names = package_files()
    demo = {name for name in names if name.startswith("dcae_export/demo/")}
    if not shipped.FOLDER.is_dir():
        assert not demo
        pytest.skip("this checkout has no demo model")
    assert {"dcae_export/demo/autoencoder", "dcae_export/demo/transformer"} == {
        str(Path(name).parent) for name in demo if name.endswith(".safetensors")
    }
    with zipfile.ZipFile(wheel) as archive:
        assert sum(archive.getinfo(name).file_size for name in demo) <= shipped.MAX_BYTES
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert demo <= {name.partition("/")[2] for name in archive.getnames()}


def test_the_sdist_holds_what_a_build_needs_and_no_tests(distributions):
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert package_files() | set(SOURCES) <= names
    assert not [name for name in names if name.startswith("tests")]


def test_the_wheel_reconstructs_a_photograph_without_pytorch(fresh_python, small_bundle, tmp_path):
    photo = skimage.data.astronaut()[100:340, 130:330]
    cv2.imwrite(str(tmp_path / "photo.png"), photo[..., ::-1])
    found = f"import importlib.util as u; print([n for n in {NOT_INSTALLED} if u.find_spec(n)])"
    assert run(fresh_python, "-c", found).strip() == "[]"
    dcae = fresh_python.with_name("dcae")
    run(dcae, "reconstruct", small_bundle, tmp_path / "photo.png", "--out", tmp_path / "back.png")
    back = cv2.imread(str(tmp_path / "back.png"))
    assert back.shape == photo.shape
    assert back.dtype == np.uint8
    assert back.std() > 1


def test_the_wheel_verifies_and_reproduces_the_golden_arrays(fresh_python, small_bundle):
    dcae = fresh_python.with_name("dcae")
    run(dcae, "verify", small_bundle)
    run(dcae, "parity", small_bundle)


def test_an_export_without_pytorch_says_what_to_install(fresh_python, wheel, tmp_path):
    arguments = ["--variant", "f32", "--weights", "random:0", "--out", str(tmp_path / "bundle")]
    result = subprocess.run(
        [fresh_python.with_name("dcae-export"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert f"pip install {wheel}[export]" in result.stderr.replace("'", "")
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "bundle").exists()
