"""What ONNX Runtime and CUDA say when a graph cannot be loaded or run, as this package's errors."""

import re

from dcae_export.errors import BundleError, DcaeError, ProviderError, ResourceError
from dcae_export.runtime.provider import Provider, installed_version

_OUT_OF_MEMORY = (
    "bad alloc",
    "bad_alloc",
    "failed to allocate",
    "out of memory",
    "out_of_memory",
    "is smaller than requested bytes",
    "cudnn_status_alloc_failed",
)
# cudaError_t of the CUDA runtime, as ONNX Runtime writes it: "CUDA failure 100: no CUDA-capable device is detected".
_CUDA_FAILURE = re.compile(r"CUDA failure (\d+): ([^;]*)")
_CUDA_ERRORS = {
    35: "the NVIDIA driver is older than this CUDA needs; install a newer driver",
    100: "no NVIDIA GPU is here; run it where there is one, or with --provider cpu",
    101: "there is no GPU of this number; dcae doctor lists those there are",
    209: "this ONNX Runtime holds no code for this GPU; choose another GPU or another version of onnxruntime-gpu",
    804: "the NVIDIA driver is older than this CUDA needs; install a newer driver",
}
_NO_TENSORRT = "Please install TensorRT libraries"
_LONGEST = 300


def translate(error: Exception, *, name: str, what: str, provider: Provider) -> DcaeError:
    """The error that a failure is to a user.

    Args:
        error: What ONNX Runtime raised; its exceptions have no base but Exception.
        name: The graph's file.
        what: What was being done: "cannot be loaded", "failed".
        provider: Where it was to run.
    """
    text = " ".join(str(error).split())
    if any(sign in text.lower() for sign in _OUT_OF_MEMORY):
        return ResourceError(f"{name}: {what}: not enough memory; try a smaller size")
    reason = provider_reason(text)
    if reason is not None:
        return ProviderError(f"{provider.value}: {reason}")
    return BundleError(f"{name}: {what}: {text[:_LONGEST]}")


def provider_reason(text: str) -> str | None:
    """Why a provider cannot work at all, from a line of ONNX Runtime; None where the line is of something else."""
    if _NO_TENSORRT in text:
        return (
            f"ONNX Runtime {installed_version()} cannot load TensorRT; dcae doctor says which "
            "library is missing"
        )
    match = _CUDA_FAILURE.search(text)
    if match is None:
        return None
    known = _CUDA_ERRORS.get(int(match[1]))
    return f"CUDA failure {match[1]}: {match[2].strip()[:_LONGEST]}" if known is None else known
