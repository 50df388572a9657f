"""The memory that a run may take where it runs."""

from dcae_export.runtime.memory import available_memory
from dcae_export.runtime.nvidia_gpu import find_gpus, free_memory
from dcae_export.runtime.provider_options import CpuOptions, ProviderOptions


def free_on_gpu(options: ProviderOptions) -> int | None:
    """The bytes that nobody holds of the GPU of these options; None for the CPU, or if unknown."""
    if isinstance(options, CpuOptions):
        return None
    gpu = next((one for one in find_gpus() if one.number == options.device), None)
    return None if gpu is None else free_memory(gpu)


def memory_for(options: ProviderOptions) -> int | None:
    """The bytes that are free on the device of these options, or their limit where that is less; None if unknown."""
    if isinstance(options, CpuOptions):
        return available_memory(limit=options.memory_limit)
    known = [one for one in (free_on_gpu(options), options.memory_limit) if one is not None]
    return min(known, default=None)
