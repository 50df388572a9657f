"""What of NVIDIA's is here: the driver, its GPUs, and the libraries that ONNX Runtime would load."""

from dataclasses import dataclass

from dcae_export.errors import ProviderError
from dcae_export.runtime.library_versions import library_versions
from dcae_export.runtime.nvidia_gpu import Gpu, find_driver, find_gpus
from dcae_export.runtime.provider import built_for_cuda


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuReport:
    """Versions, None where there is none; ``built_for`` is the CUDA version of the installed ONNX Runtime."""

    driver: str | None
    built_for: str | None
    libraries: dict[str, str | None]
    gpus: tuple[Gpu, ...]


def gpu_report() -> GpuReport:
    """Look for the driver, its GPUs and the libraries."""
    try:
        built_for = built_for_cuda()
    except ProviderError:
        built_for = None
    driver = find_driver()
    return GpuReport(
        driver=None if driver is None else f"{driver.version or '?'} (up to CUDA {driver.cuda})",
        built_for=built_for,
        libraries={}
        if built_for is None
        else library_versions(cuda=int(built_for.partition(".")[0])),
        gpus=tuple(find_gpus()),
    )
