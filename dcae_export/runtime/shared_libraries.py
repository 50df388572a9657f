"""The shared libraries that the CUDA and TensorRT providers link: found, loaded, and named where they are missing.

ONNX Runtime leaves a provider out, with a line in its log, where one of them cannot be loaded.
"""

import contextlib
import ctypes
import functools
import importlib.util
import io
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from dcae_export.errors import ProviderError
from dcae_export.extras import install_command
from dcae_export.runtime.provider import (
    Provider,
    built_for_cuda,
    installed_version,
    load_onnxruntime,
)

LoadLibrary = Callable[[str], ctypes.CDLL]
load_library: LoadLibrary = ctypes.CDLL

DRIVER_LIBRARY = "libcuda.so.1"
# The major version of TensorRT that ONNX Runtime's provider links since its version 1.18.
TENSORRT_MAJOR = 10
_TENSORRT_FOLDER = "tensorrt_libs"
_EXTRAS = {Provider.CPU: "cpu", Provider.CUDA: "gpu", Provider.TENSORRT: "tensorrt"}
# The first driver branch for each major version of CUDA.
_DRIVERS = {12: "525", 13: "580"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """A shared library, the folder of site-packages that its package keeps it in, and how to get it."""

    name: str
    folder: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """A library that cannot be loaded, and what the loader says."""

    library: Library
    reason: str


def require_listed(provider: Provider) -> None:
    """Check that the installed build knows ``provider``, before a session is made for it.

    A listed provider may still fail to load: only a session's own list of providers is proof.

    Raises:
        ProviderError: The build lacks it; the message names the package that brings it, and says first where there is
            no driver for it to run on.
    """
    if provider.onnxruntime_name in load_onnxruntime().get_available_providers():
        return
    command = install_command(_EXTRAS[provider])
    if provider is Provider.TENSORRT:
        command += " --extra-index-url URL with NVIDIA's package index (docs/gpu.md)"
    build = f"the installed ONNX Runtime {installed_version()} was built without {provider.onnxruntime_name}"
    way_out = f"pip uninstall -y onnxruntime onnxruntime-gpu, then {command}"
    if _has_driver():
        raise ProviderError(f"{provider.value}: {build}; {way_out}")
    raise ProviderError(
        f"{provider.value}: no NVIDIA driver is here ({DRIVER_LIBRARY}), and {build}; where there is a GPU, {way_out}"
    )


def _has_driver() -> bool:
    if sys.platform != "linux":
        return True  # Its name there is not known here.
    try:
        load_library(DRIVER_LIBRARY)
    except OSError:
        return False
    return True


def required_libraries(provider: Provider, *, cuda: int) -> list[Library]:
    """What a provider needs, in an order in which each one finds those before it.

    Args:
        provider: The provider.
        cuda: The major version of CUDA that ONNX Runtime was built for.
    """
    if provider is Provider.CPU:
        return []
    needed = [_driver(cuda), *_cuda_libraries(cuda)]
    if provider is Provider.TENSORRT:
        needed += _tensorrt_libraries(cuda)
    return needed


def missing_libraries(provider: Provider, *, cuda: int) -> list[Missing]:
    """The libraries of a provider that cannot be loaded here; those that can are, and stay."""
    missing: list[Missing] = []
    for library in required_libraries(provider, cuda=cuda):
        try:
            loaded(library)
        except OSError as error:
            missing.append(Missing(library=library, reason=" ".join(str(error).split())))
    return missing


def loaded(library: Library) -> ctypes.CDLL:
    """Load a library from its package's folder, or from where the system's loader looks.

    Raises:
        OSError: It is not there, or needs another one that is not.
    """
    for path in _installed_at(library):
        if path.is_file():
            return load_library(str(path))
    return load_library(library.name)


def what_is_missing(provider: Provider) -> str | None:
    """Load what a provider needs, before ONNX Runtime looks for it, and say in one line what is not there.

    Raises:
        ProviderError: No ONNX Runtime is installed.
    """
    version = built_for_cuda()
    if provider is Provider.CPU or version is None:
        return None
    _preload()
    if sys.platform != "linux":
        return None  # Their names there are not known here; the session's own list of providers is left to tell.
    missing = missing_libraries(provider, cuda=int(version.partition(".")[0]))
    return describe(missing) if missing else None


def require_libraries(provider: Provider) -> None:
    """Load what a provider needs.

    Raises:
        ProviderError: Something is missing; the message names it and the package that brings it.
    """
    missing = what_is_missing(provider)
    if missing is not None:
        raise ProviderError(f"{provider.value}: {missing}; nothing was run in its place")


def preload_builder() -> None:
    """Load what TensorRT builds engines with, which it looks for by name and nowhere near itself."""
    resource = Library(name="libnvinfer_builder_resource*.so.*", folder=_TENSORRT_FOLDER, source="")
    for pattern in _installed_at(resource):
        for path in sorted(pattern.parent.glob(pattern.name)):
            # What builds engines for Windows has 2 GB.
            if "_win" not in path.name:
                with contextlib.suppress(OSError):
                    load_library(str(path))


def describe(missing: Iterable[Missing]) -> str:
    """What is missing, by what brings it, in one line."""
    by_source: dict[str, list[str]] = {}
    for one in missing:
        # A library that is there may lack one of its own, which the loader names.
        absent = one.reason.startswith(f"{one.library.name}: cannot open")
        name = one.library.name if absent else f"{one.library.name} ({one.reason})"
        by_source.setdefault(one.library.source, []).append(name)
    return "cannot load " + ", ".join(
        f"{' and '.join(names)} ({source})" for source, names in by_source.items()
    )


@functools.cache
def _preload() -> None:
    """Let ONNX Runtime load what NVIDIA's packages brought; what it prints is found again, with names, by us."""
    with contextlib.redirect_stdout(io.StringIO()):
        load_onnxruntime().preload_dlls()


def _installed_at(library: Library) -> list[Path]:
    top, _, rest = library.folder.partition("/")
    try:
        spec = importlib.util.find_spec(top) if top else None
    except (ImportError, ValueError):
        return []
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    return [Path(folder) / rest / library.name for folder in folders]


def _driver(cuda: int) -> Library:
    return Library(
        name=DRIVER_LIBRARY,
        folder="",
        source=f"the NVIDIA driver, {_DRIVERS.get(cuda, 'one for CUDA ' + str(cuda))} or newer; "
        "in a container: docker run --gpus all",
    )


def _cuda_libraries(cuda: int) -> list[Library]:
    suffix = "" if cuda >= 13 else f"-cu{cuda}"

    def of(name: str, part: str, package: str, major: int = cuda) -> Library:
        folder = f"nvidia/cu{cuda}/lib" if cuda >= 13 else f"nvidia/{part}/lib"
        return Library(
            name=name, folder=folder, source=f"pip install '{package}{suffix}=={major}.*'"
        )

    cudnn = Library(
        name="libcudnn.so.9",
        folder="nvidia/cudnn/lib",
        source=f"pip install 'nvidia-cudnn-cu{cuda}==9.*'",
    )
    return [
        of(f"libcudart.so.{cuda}", "cuda_runtime", "nvidia-cuda-runtime"),
        of(f"libcublasLt.so.{cuda}", "cublas", "nvidia-cublas"),
        of(f"libcublas.so.{cuda}", "cublas", "nvidia-cublas"),
        of("libcurand.so.10", "curand", "nvidia-curand", 10),
        cudnn,
    ]


def _tensorrt_libraries(cuda: int) -> list[Library]:
    # Plain `pip install tensorrt` brings a later major version, which has other file names.
    source = f"pip install 'tensorrt-cu{cuda}=={TENSORRT_MAJOR}.*'"
    return [
        Library(name=f"{stem}.so.{TENSORRT_MAJOR}", folder=_TENSORRT_FOLDER, source=source)
        for stem in ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser")
    ]
