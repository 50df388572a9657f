"""What an import brings along, seen in fresh interpreters: static rules miss imports made at run time."""

import json
import pkgutil
import subprocess
import sys

import pytest

import dcae_export.bundle
import dcae_export.files
import dcae_export.pictures
import dcae_export.runtime
import dcae_export.sampling

_WITHOUT = """
import importlib.abc, importlib, json, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

MISSING, MODULES = json.loads(sys.argv[1])
sys.meta_path.insert(0, Missing())
for name in MODULES:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def packages_after(*modules: str, missing: tuple[str, ...] = ()) -> set[str]:
    """The top-level packages that are loaded after importing ``modules`` where ``missing`` are not installed."""
    arguments = json.dumps([missing, modules])
    result = subprocess.run(
        [sys.executable, "-c", _WITHOUT, arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout))


def modules_of(package) -> list[str]:
    """A package and the modules in it, by name."""
    inside = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    return [package.__name__, *(module.name for module in inside)]


@pytest.mark.parametrize("package", [dcae_export.runtime, dcae_export.bundle])
def test_a_bundle_is_read_and_run_without_torch_and_onnx(package):
    names = modules_of(package)
    assert len(names) > 3
    packages_after(*names, missing=("torch", "onnx", "onnx_ir", "onnxscript", "safetensors"))


@pytest.mark.parametrize("package", [dcae_export.files, dcae_export.pictures])
def test_files_and_pictures_need_nothing_that_computes(package):
    names = modules_of(package)
    assert len(names) > 3
    packages_after(*names, missing=("torch", "onnx", "onnx_ir", "onnxruntime", "safetensors"))


def test_the_runtime_can_be_imported_before_an_onnx_runtime_is_installed():
    packages_after(*modules_of(dcae_export.runtime), missing=("onnxruntime", "openvino"))


def test_the_package_alone_loads_nothing_heavy():
    loaded = packages_after("dcae_export")
    assert not loaded & {"numpy", "onnxruntime", "cv2", "pydantic", "torch", "onnx", "click"}


def test_samplers_need_nothing_but_numpy():
    names = modules_of(dcae_export.sampling)
    assert len(names) > 3
    packages_after(*names, missing=("scipy", "torch", "pydantic", "onnx", "onnxruntime", "cv2"))


def test_models_are_built_without_anything_of_deployment():
    packages_after(
        "dcae_export.models.autoencoder",
        "dcae_export.models.weights",
        missing=("onnx", "onnx_ir", "onnxscript", "onnxruntime", "cv2"),
    )
