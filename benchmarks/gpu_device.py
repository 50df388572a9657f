"""What a measurement on a GPU depends on, and how much of its memory is taken."""

from benchmarks.machine import peak_bytes
from dcae_export.runtime.library_versions import library_versions
from dcae_export.runtime.nvidia_gpu import find_driver, find_gpus, free_memory

CPU = "cpu"
UNREAD = "the driver's NVML does not say what is free of this GPU"
# ONNX Runtime's wheels for GPUs are built for it.
_CUDA_MAJOR = 13


def describe_device(provider: str) -> dict[str, object]:
    """The GPU, its driver and NVIDIA's libraries; nothing that names this one machine. Empty for the processor."""
    gpus = find_gpus() if provider != CPU else []
    driver = find_driver() if gpus else None
    if driver is None:
        return {}
    return {
        "gpu": gpus[0].name,
        "gpu_memory_gib": round(gpus[0].memory / 2**30),
        "gpu_compute_capability": gpus[0].compute_capability,
        "gpu_driver": f"{driver.version}, up to CUDA {driver.cuda}",
        **{
            f"library_{name}": version or "not there"
            for name, version in library_versions(cuda=_CUDA_MAJOR).items()
        },
    }


class DeviceMemory:
    """The most of a device's memory that this process has had, the driver's own for it included.

    PyTorch's and ONNX Runtime's allocators keep what they have had, so what is taken after a run is what the run
    took at most. On the processor: the process's peak.
    """

    def __init__(self, provider: str) -> None:
        """Begin to count; before the device is used."""
        self._gpu = None if provider == CPU else find_gpus()[0]
        self._free = self._now()

    def peak_bytes(self) -> int | None:
        """Bytes since the beginning; other programs must leave the GPU alone. None where the driver does not say."""
        if self._gpu is None:
            return peak_bytes()
        now = self._now()
        return None if self._free is None or now is None else self._free - now

    def _now(self) -> int | None:
        return None if self._gpu is None else free_memory(self._gpu)
