"""Missing libraries are named, with the package that brings each."""

import importlib.util
import sys
from types import SimpleNamespace

import pytest
from fake_nvidia import MISSING, FakeMachine, use_machine

from dcae_export.errors import ProviderError
from dcae_export.runtime import shared_libraries
from dcae_export.runtime.library_versions import library_versions
from dcae_export.runtime.provider import Provider
from dcae_export.runtime.shared_libraries import (
    describe,
    missing_libraries,
    preload_builder,
    require_libraries,
    required_libraries,
)

CUDA_LIBRARIES = {
    "libcudart.so.13": "nvidia-cuda-runtime==13.*",
    "libcublasLt.so.13": "nvidia-cublas==13.*",
    "libcublas.so.13": "nvidia-cublas==13.*",
    "libcurand.so.10": "nvidia-curand==10.*",
    "libcudnn.so.9": "nvidia-cudnn-cu13==9.*",
}
TENSORRT_LIBRARIES = {
    f"{stem}.so.10": "tensorrt-cu13==10.*"
    for stem in ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser")
}


def built_for(monkeypatch, version):
    shared_libraries._preload.cache_clear()
    fake = SimpleNamespace(preload_dlls=lambda: sys.stdout.write("Failed to load libcublas"))
    monkeypatch.setattr(shared_libraries, "load_onnxruntime", lambda: fake)
    monkeypatch.setattr(shared_libraries, "built_for_cuda", lambda: version or None)


@pytest.mark.parametrize(
    ("provider", "name", "package"),
    [(Provider.CUDA, *item) for item in CUDA_LIBRARIES.items()]
    + [(Provider.TENSORRT, *item) for item in {**CUDA_LIBRARIES, **TENSORRT_LIBRARIES}.items()],
)
def test_a_missing_library_is_named_with_its_package(monkeypatch, capsys, provider, name, package):
    use_machine(monkeypatch, FakeMachine(absent={name}))
    built_for(monkeypatch, "13.0")
    with pytest.raises(ProviderError) as caught:
        require_libraries(provider)
    assert str(caught.value) == (
        f"{provider.value}: cannot load {name} (pip install '{package}'); nothing was run in its place"
    )
    # What ONNX Runtime prints of it is not the user's.
    assert capsys.readouterr() == ("", "")


def test_without_a_driver_the_way_into_a_container_is_named(monkeypatch):
    use_machine(monkeypatch, FakeMachine(absent={"libcuda.so.1"}))
    built_for(monkeypatch, "13.0")
    with pytest.raises(ProviderError, match=r"NVIDIA driver, 580 or newer; .* --gpus all"):
        require_libraries(Provider.CUDA)


def test_libraries_of_one_package_are_named_together(monkeypatch):
    use_machine(monkeypatch, FakeMachine(absent={"libcublas.so.13", "libcublasLt.so.13"}))
    text = describe(missing_libraries(Provider.CUDA, cuda=13))
    assert text == (
        "cannot load libcublasLt.so.13 and libcublas.so.13 (pip install 'nvidia-cublas==13.*')"
    )


def test_a_library_that_lacks_another_says_which(monkeypatch):
    reason = f"libnvrtc.so.13: {MISSING}"
    use_machine(monkeypatch, FakeMachine(broken={"libcudnn.so.9": reason}))
    text = describe(missing_libraries(Provider.CUDA, cuda=13))
    assert f"libcudnn.so.9 ({reason})" in text


def test_where_all_is_there_nothing_is_said(monkeypatch):
    machine = use_machine(monkeypatch, FakeMachine())
    built_for(monkeypatch, "13.0")
    require_libraries(Provider.TENSORRT)
    assert machine.opened[0] == "libcuda.so.1"
    assert len(machine.opened) == 9


@pytest.mark.parametrize(("provider", "version"), [(Provider.CPU, "13.0"), (Provider.CUDA, "")])
def test_a_provider_or_build_without_cuda_needs_none(monkeypatch, provider, version):
    machine = use_machine(monkeypatch, FakeMachine())
    built_for(monkeypatch, version)
    require_libraries(provider)
    assert machine.opened == []


def test_a_packages_own_folder_comes_before_the_systems(monkeypatch, tmp_path):
    own = tmp_path / "cu13" / "lib" / "libcublas.so.13"
    own.parent.mkdir(parents=True)
    own.touch()
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: spec if name == "nvidia" else None
    )
    machine = use_machine(monkeypatch, FakeMachine())
    missing_libraries(Provider.CUDA, cuda=13)
    assert str(own) in machine.opened
    assert "libcublas.so.13" not in machine.opened
    assert "libcudart.so.13" in machine.opened


def test_cuda_12_has_other_names_and_folders():
    found = {one.name: one for one in required_libraries(Provider.CUDA, cuda=12)}
    assert found["libcublas.so.12"].folder == "nvidia/cublas/lib"
    assert found["libcublas.so.12"].source == "pip install 'nvidia-cublas-cu12==12.*'"
    assert found["libcudnn.so.9"].source == "pip install 'nvidia-cudnn-cu12==9.*'"
    assert "525" in found["libcuda.so.1"].source


def test_versions_are_those_that_the_libraries_say(monkeypatch):
    use_machine(monkeypatch, FakeMachine())
    assert library_versions(cuda=13) == {"CUDA": "13.0", "cuDNN": "9.14.0", "TensorRT": "10.14.1"}


def test_a_library_that_is_not_there_has_no_version(monkeypatch):
    use_machine(monkeypatch, FakeMachine(absent={"libnvinfer.so.10", "libcudnn.so.9"}))
    assert library_versions(cuda=13) == {"CUDA": "13.0", "cuDNN": None, "TensorRT": None}


def test_elsewhere_than_on_linux_the_session_is_left_to_tell(monkeypatch):
    machine = use_machine(monkeypatch, FakeMachine(absent={"libcuda.so.1"}))
    built_for(monkeypatch, "13.0")
    monkeypatch.setattr(shared_libraries.sys, "platform", "win32")
    require_libraries(Provider.CUDA)
    assert machine.opened == []


def test_what_builds_engines_is_loaded_from_tensorrts_wheel(monkeypatch, tmp_path):
    folder = tmp_path / "tensorrt_libs"
    folder.mkdir()
    for stem in (
        "libnvinfer_builder_resource_sm90",
        "libnvinfer_builder_resource_win",
        "libnvinfer",
    ):
        (folder / f"{stem}.so.10.13.3").touch()
    monkeypatch.syspath_prepend(tmp_path)
    asked = []

    def load(name):
        asked.append(name)
        raise OSError("no library at all")

    monkeypatch.setattr(shared_libraries, "load_library", load)
    preload_builder()
    assert asked == [str(folder / "libnvinfer_builder_resource_sm90.so.10.13.3")]
