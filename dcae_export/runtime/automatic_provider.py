"""The fastest provider that works here."""

from dcae_export.runtime.provider_options import CpuOptions, CudaOptions, ProviderOptions
from dcae_export.runtime.provider_probe import probe


def automatic_provider(cuda: CudaOptions) -> tuple[ProviderOptions, str]:
    """CUDA where it runs a node, otherwise the CPU; never TensorRT, which builds for minutes first.

    Args:
        cuda: The options that CUDA gets.

    Returns:
        What to run on, and why CUDA does not, or nothing.
    """
    found = probe(cuda)
    # The one option of CUDA that the CPU has as well.
    cpu = CpuOptions(memory_limit=cuda.memory_limit)
    return (cuda, "") if found.works else (cpu, found.reason)
