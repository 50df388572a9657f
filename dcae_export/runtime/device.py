"""Arrays in the memory that a session's provider computes in."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from dcae_export.runtime.provider import Provider, load_onnxruntime
from dcae_export.runtime.provider_options import CpuOptions, ProviderOptions

if TYPE_CHECKING:
    from onnxruntime import OrtValue


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """The memory of the machine or of one GPU, by ONNX Runtime's name and number."""

    kind: Literal["cpu", "cuda"]
    number: int

    @classmethod
    def of(cls, provider: ProviderOptions) -> "Device":
        """Where a provider has its arrays."""
        if isinstance(provider, CpuOptions):
            return cls(kind=Provider.CPU.value, number=0)
        return cls(kind=Provider.CUDA.value, number=provider.device)

    def empty(self, shape: tuple[int, ...], dtype: str) -> "OrtValue":
        """An array whose elements are not set."""
        values = load_onnxruntime().OrtValue
        return values.ortvalue_from_shape_and_type(
            list(shape), np.dtype(dtype).type, self.kind, self.number
        )

    def put(self, array: NDArray[np.generic]) -> "OrtValue":
        """A copy of ``array``."""
        value = self.empty(array.shape, str(array.dtype))
        value.update_inplace(np.ascontiguousarray(array))
        return value
