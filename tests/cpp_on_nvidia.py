"""``dcae-run`` where there seems to be a GPU: ONNX Runtime and NVIDIA's libraries are those of tests/cpp_fake_nvidia."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cpp_runtime import ROOT, built, onnxruntime_headers, onnxruntime_library, run
from program import Result

# Parts of a graph.
ALL = "100000"
_SOURCES = ROOT / "tests" / "cpp_fake_nvidia"
_WHEELS = (
    "nvidia/cu13/lib/libcudart.so.13",
    "nvidia/cudnn/lib/libcudnn.so.9",
    "tensorrt_libs/libnvinfer.so.10",
    "tensorrt_libs/libnvinfer_plugin.so.10",
    "tensorrt_libs/libnvonnxparser.so.10",
    "tensorrt_libs/libnvinfer_builder_resource_sm90.so.10.13.3",
    "tensorrt_libs/libnvinfer_builder_resource_win.so.10.13.3",
)
_DRIVER = ("libcuda.so.1", "libnvidia-ml.so.1")


@dataclass(frozen=True, slots=True)
class Machine:
    """A folder of installed wheels, and one of the driver's libraries."""

    folder: Path

    @property
    def packages(self) -> Path:
        """Where the wheels are."""
        return self.folder / "site-packages"

    @property
    def driver(self) -> Path:
        """Where the driver's libraries are."""
        return self.folder / "driver"

    @property
    def onnxruntime(self) -> Path:
        """ONNX Runtime's library."""
        return self.packages / "onnxruntime" / "capi" / "libonnxruntime.so.1"

    def provider(self, name: str) -> Path:
        """A provider's library of ONNX Runtime."""
        return self.onnxruntime.with_name(f"libonnxruntime_providers_{name}.so")

    @classmethod
    def make(cls, folder: Path) -> "Machine":
        """Compile the libraries."""
        built("release")
        machine = cls(folder)
        compiler = ("gcc", "-shared", "-fPIC", "-I", onnxruntime_headers())
        for path in (
            *(machine.packages / name for name in _WHEELS),
            *(machine.driver / name for name in _DRIVER),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            run(*compiler, _SOURCES / "nvidia.c", f"-Wl,-soname,{path.name}", "-o", path)
        machine.onnxruntime.parent.mkdir(parents=True)
        run(*compiler, _SOURCES / "onnxruntime.c", "-o", machine.onnxruntime, "-ldl")
        for provider, linked in (("cuda", _WHEELS[0]), ("tensorrt", _WHEELS[2])):
            run(
                *(*compiler, "-x", "c", "/dev/null", "-x", "none", "-Wl,--no-as-needed"),
                *(machine.packages / linked, "-o", machine.provider(provider)),
            )
        return machine

    def environment(self, **more: str) -> dict[str, str]:
        """That of a process on this machine; the GPU runs all parts of a graph unless ``more`` says else."""
        return {
            **os.environ,
            "LD_LIBRARY_PATH": str(self.driver),
            "DCAE_ONNXRUNTIME": str(self.onnxruntime),
            "REAL_ONNXRUNTIME": str(onnxruntime_library()),
            "CUDA_OPTIONS": str(self.folder / "cuda-options"),
            "TENSORRT_OPTIONS": str(self.folder / "tensorrt-options"),
            "TENSORRT_LOG": str(self.folder / "tensorrt-log"),
            "ON_GPU": ALL,
            "ENGINE_NAME": "one",
            **more,
        }

    def run(self, *arguments: str | Path, **environment: str) -> Result:
        """Run ``dcae-run`` here."""
        done = subprocess.run(
            [built("release"), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(**environment),
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def options(self, provider: str) -> dict[str, str]:
        """What ONNX Runtime was told last of a provider."""
        lines = (self.folder / f"{provider}-options").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def log(self) -> list[str]:
        """What became of engines since this was asked last."""
        log = self.folder / "tensorrt-log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines
