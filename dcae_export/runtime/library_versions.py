"""The versions of CUDA, cuDNN and TensorRT as their libraries say them, whichever package brought them."""

import ctypes
from collections.abc import Callable

from dcae_export.runtime.nvidia_gpu import cuda_version_text
from dcae_export.runtime.provider import Provider
from dcae_export.runtime.shared_libraries import Library, loaded, required_libraries

_ASKED = ("CUDA", "cuDNN", "TensorRT")


def library_versions(*, cuda: int) -> dict[str, str | None]:
    """Versions by name; None where the library cannot be loaded.

    Args:
        cuda: The major version of CUDA that ONNX Runtime was built for.
    """
    by_stem = {
        library.name.partition(".")[0]: library
        for library in required_libraries(Provider.TENSORRT, cuda=cuda)
    }
    ask: tuple[tuple[str, Callable[[ctypes.CDLL], str]], ...] = (
        ("libcudart", _cuda_version),
        ("libcudnn", _cudnn_version),
        ("libnvinfer", _tensorrt_version),
    )
    return {
        name: _version(by_stem[stem], asked)
        for name, (stem, asked) in zip(_ASKED, ask, strict=True)
    }


def _version(library: Library, asked: Callable[[ctypes.CDLL], str]) -> str | None:
    try:
        return asked(loaded(library))
    except OSError:
        return None


def _cuda_version(library: ctypes.CDLL) -> str:
    number = ctypes.c_int()
    if library.cudaRuntimeGetVersion(ctypes.byref(number)):
        raise OSError("cudaRuntimeGetVersion failed")
    return cuda_version_text(number.value)


def _cudnn_version(library: ctypes.CDLL) -> str:
    library.cudnnGetVersion.restype = ctypes.c_size_t
    return _three_parts(int(library.cudnnGetVersion()))


def _tensorrt_version(library: ctypes.CDLL) -> str:
    return _three_parts(int(library.getInferLibVersion()))


def _three_parts(number: int) -> str:
    """91400 as 9.14.0."""
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
