"""The GPUs of this machine and their driver, asked of NVIDIA's own libraries; no context is made on a GPU.

The numbers are those of CUDA: they follow ``CUDA_VISIBLE_DEVICES``.
"""

import contextlib
import ctypes
from collections.abc import Generator
from dataclasses import dataclass

from dcae_export.runtime import shared_libraries
from dcae_export.runtime.shared_libraries import DRIVER_LIBRARY

_MANAGEMENT_LIBRARY = "libnvidia-ml.so.1"
# CUdevice_attribute of cuda.h.
_COMPUTE_CAPABILITY = (75, 76)
_NAME_BYTES = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """A GPU: ``identifier`` is its UUID, ``memory`` its bytes in all."""

    number: int
    name: str
    identifier: str
    compute_capability: str
    memory: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Driver:
    """The NVIDIA driver: its own version, None where it cannot be asked, and the newest CUDA that it runs."""

    version: str | None
    cuda: str


class _NvmlMemory(ctypes.Structure):
    """nvmlMemory_t of nvml.h."""

    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


def find_driver() -> Driver | None:
    """The driver; None where there is none, or no GPU that it could drive."""
    cuda = _driver_library()
    version = ctypes.c_int()
    if cuda is None or cuda.cuDriverGetVersion(ctypes.byref(version)):
        return None
    return Driver(version=_driver_version(), cuda=cuda_version_text(version.value))


def find_gpus() -> list[Gpu]:
    """The GPUs that CUDA sees, in its order."""
    cuda = _driver_library()
    count = ctypes.c_int()
    if cuda is None or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return []
    return [gpu for number in range(count.value) if (gpu := _gpu(cuda, number)) is not None]


def free_memory(gpu: Gpu) -> int | None:
    """The bytes of a GPU that nobody holds; None where the driver does not say."""
    memory = _NvmlMemory()
    handle = ctypes.c_void_p()
    with _management() as nvml:
        if (
            nvml is None
            or nvml.nvmlDeviceGetHandleByUUID(gpu.identifier.encode(), ctypes.byref(handle))
            or nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
        ):
            return None
    return int(memory.free)


def cuda_version_text(number: int) -> str:
    """13000 as 13.0, the form of cuda.h."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _driver_library() -> ctypes.CDLL | None:
    try:
        cuda = shared_libraries.load_library(DRIVER_LIBRARY)
    except OSError:
        return None
    return None if cuda.cuInit(0) else cuda


def _gpu(cuda: ctypes.CDLL, number: int) -> Gpu | None:
    device = ctypes.c_int()
    name = ctypes.create_string_buffer(_NAME_BYTES)
    uuid = (ctypes.c_ubyte * 16)()
    memory = ctypes.c_size_t()
    capability = [ctypes.c_int(), ctypes.c_int()]
    failed = (
        cuda.cuDeviceGet(ctypes.byref(device), number)
        or cuda.cuDeviceGetName(name, _NAME_BYTES, device)
        or cuda.cuDeviceGetUuid_v2(uuid, device)
        or cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
        or any(
            cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
            for value, attribute in zip(capability, _COMPUTE_CAPABILITY, strict=True)
        )
    )
    if failed:
        return None
    return Gpu(
        number=number,
        name=name.value.decode(errors="replace"),
        identifier=_uuid_text(bytes(uuid)),
        compute_capability=f"{capability[0].value}.{capability[1].value}",
        memory=memory.value,
    )


def _uuid_text(raw: bytes) -> str:
    digits = raw.hex()
    parts = digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]
    return "GPU-" + "-".join(parts)


@contextlib.contextmanager
def _management() -> Generator[ctypes.CDLL | None]:
    try:
        nvml = shared_libraries.load_library(_MANAGEMENT_LIBRARY)
    except OSError:
        yield None
        return
    if nvml.nvmlInit_v2():
        yield None
        return
    try:
        yield nvml
    finally:
        nvml.nvmlShutdown()


def _driver_version() -> str | None:
    text = ctypes.create_string_buffer(_NAME_BYTES)
    with _management() as nvml:
        if nvml is None or nvml.nvmlSystemGetDriverVersion(text, _NAME_BYTES):
            return None
    return text.value.decode(errors="replace")
