"""The real onnxruntime-gpu on a machine without a GPU: what was asked for does not run, and nothing runs in its place."""

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from cpp_runtime import built
from gaussian_data import UVIT
from generation_factory import write_generating_bundle

from dcae_export.errors import ProviderError
from dcae_export.runtime.nvidia_gpu import find_driver
from dcae_export.runtime.provider import Provider
from dcae_export.runtime.provider_options import (
    CudaOptions,
    EngineFiles,
    InputProfile,
    TensorRtOptions,
)
from dcae_export.runtime.shared_libraries import DRIVER_LIBRARY, required_libraries

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the wheel's libraries are ELF files"),
]

ROOT = Path(__file__).parents[2]
VERSION = "1.31.1"
# The wheel has 256 MB, and 345 MB unpacked.
NEEDED_BYTES = 2 * 2**30

without_gpu = pytest.mark.skipif(find_driver() is not None, reason="here is a GPU")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A folder with onnxruntime-gpu, which stands before the environment's own ONNX Runtime."""
    folder = tmp_path_factory.mktemp("gpu") / "packages"
    if shutil.disk_usage(folder.parent).free < NEEDED_BYTES:
        pytest.skip("too little disk for onnxruntime-gpu")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--target", str(folder), f"onnxruntime-gpu=={VERSION}"]
    subprocess.run(command, check=True, timeout=1200)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return write_generating_bundle(tmp_path_factory.mktemp("bundles") / "b", UVIT, "ddim:3")


def python(wheel: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python with the wheel's ONNX Runtime and this project."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": f"{wheel}{os.pathsep}{ROOT}"},
    )


def dcae(wheel: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return python(wheel, "-m", "dcae_export", *arguments)


@without_gpu
def test_onnx_runtime_itself_takes_the_cpu_and_only_logs_it(wheel):
    """The reason for all of this; should it fail one day, ONNX Runtime has become strict itself."""
    result = python(
        wheel,
        "-c",
        "import onnxruntime as o; from dcae_export.runtime.provider_probe import _ONE_NODE as m; "
        "print(o.__version__, 'CUDAExecutionProvider' in o.get_available_providers(), "
        "o.InferenceSession(m, providers=['CUDAExecutionProvider']).get_providers())",
    )
    assert result.stdout.strip() == f"{VERSION} True ['CPUExecutionProvider']"


@without_gpu
@pytest.mark.parametrize(
    ("provider", "named"),
    [
        ("cuda", ["libcuda.so.1 (the NVIDIA driver", "libcublas.so.13", "nvidia-cublas==13.*"]),
        ("tensorrt", ["libcuda.so.1 (the NVIDIA driver", "libnvinfer.so.10", "tensorrt-cu13==10.*"]),
    ],
)  # fmt: skip
def test_a_gpu_that_is_not_there_is_one_line_and_no_picture(
    wheel, bundle, tmp_path, provider, named
):
    out = tmp_path / "out.png"
    result = dcae(wheel, "generate", bundle, "--label", "1", "--provider", provider, "--out", out)
    assert result.returncode == 5
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"dcae: error: {provider}: cannot load ")
    assert [text for text in named if text not in result.stderr] == []
    assert not out.exists()


@without_gpu
def test_auto_takes_the_cpu_and_says_why(wheel, bundle, tmp_path):
    out = tmp_path / "out.png"
    result = dcae(wheel, "generate", bundle, "--label", "1", "--provider", "auto", "--out", out)
    assert result.returncode == 0
    assert result.stderr.startswith("dcae: --provider auto: cpu; cuda: cannot load libcuda.so.1")
    assert result.stderr.count("\n") == 1
    assert out.exists()


@without_gpu
def test_the_doctor_names_what_is_missing_and_what_collides(wheel):
    result = dcae(wheel, "doctor", "--json")
    report = json.loads(result.stdout)
    providers = {one["name"]: one for one in report["providers"]}
    assert providers["cpu"]["works"]
    for name in ("cuda", "tensorrt"):
        assert not providers[name]["works"]
        assert "libcuda.so.1 (the NVIDIA driver, 580 or newer" in providers[name]["reason"]
    assert report["gpu"]["onnxruntime_cuda"] == "13.0"
    assert report["gpu"]["driver"] is None
    assert report["gpu"]["gpus"] == []
    # The environment's own onnxruntime stands beside it here.
    assert result.returncode == 3
    assert "onnxruntime and onnxruntime-gpu overwrite each other's files" in result.stderr


def test_every_option_is_one_that_the_providers_know(wheel):
    engine = EngineFiles(
        folder=Path("e"),
        inputs=(InputProfile(name="x", least=(1,), best=(1,), most=(1,)),),
        timings=Path("t"),
    )
    tensorrt, cuda = TensorRtOptions(workspace=1, memory_limit=1).onnxruntime_providers(engine)
    assert set(cuda[1]) <= set(CudaOptions(memory_limit=1).onnxruntime_providers()[0][1])
    for library, (_, options) in (("cuda", cuda), ("tensorrt", tensorrt)):
        data = provider_library(wheel, library).read_bytes()
        assert [name for name in options if name.encode() + b"\0" not in data] == []


@pytest.mark.parametrize("provider", [Provider.CUDA, Provider.TENSORRT])
def test_every_library_of_nvidia_that_a_provider_links_is_one_that_is_looked_for(wheel, provider):
    linked = {
        name
        for name in linked_libraries(provider_library(wheel, provider.value))
        if name.startswith(("libcu", "libnv"))
    }
    assert DRIVER_LIBRARY in linked or provider is Provider.TENSORRT
    assert linked <= {one.name for one in required_libraries(provider, cuda=13)}


def provider_library(wheel: Path, name: str) -> Path:
    return wheel / "onnxruntime" / "capi" / f"libonnxruntime_providers_{name}.so"


def linked_libraries(path: Path) -> list[str]:
    """DT_NEEDED of a 64-bit little-endian ELF file, by its section of type SHT_DYNAMIC."""
    data = path.read_bytes()
    (sections_at,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    headers = [
        struct.unpack_from("<IIQQQQIIQQ", data, sections_at + i * size) for i in range(count)
    ]
    dynamic = next(header for header in headers if header[1] == 6)
    names_at = headers[dynamic[6]][4]
    entries = [
        struct.unpack_from("<qQ", data, dynamic[4] + 16 * i) for i in range(dynamic[5] // 16)
    ]
    return [
        data[names_at + value : data.index(b"\0", names_at + value)].decode()
        for tag, value in entries
        if tag == 1
    ]


@without_gpu
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_the_cpp_runtime_says_which_library_is_missing_and_draws_nothing(
    wheel, bundle, tmp_path, provider
):
    (library,) = (wheel / "onnxruntime" / "capi").glob("libonnxruntime.so.*")
    out = tmp_path / "picture.png"
    words = ("generate", bundle, "--label", "1", "--provider", provider, "--out", out)
    result = subprocess.run(
        [built("release"), *words, "--onnxruntime", library],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == ProviderError.exit_status
    (line,) = result.stderr.splitlines()
    assert f"ONNX Runtime {VERSION}" in line
    assert ".so" in line.partition("could not load it: ")[2]
    assert not out.exists()
