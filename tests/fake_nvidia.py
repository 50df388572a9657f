"""NVIDIA's and ONNX Runtime's libraries as a machine with, or without, a GPU has them: only their boundary is fake."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from dcae_export.runtime import shared_libraries

H200 = ("NVIDIA H200", bytes(range(16)), (9, 0), 141 * 2**30)
MISSING = "cannot open shared object file: No such file or directory"


def _set(pointer: object, value: int) -> int:
    """Write through ``ctypes.byref``, and succeed."""
    pointer._obj.value = value  # type: ignore[attr-defined]
    return 0


@dataclass
class FakeMachine:
    """What the loader finds: libraries that are absent by name, GPUs, versions."""

    absent: set[str] = field(default_factory=set)
    broken: dict[str, str] = field(default_factory=dict)
    gpus: Sequence[tuple] = (H200,)
    driver: str = "580.95.05"
    free: int = 100 * 2**30
    opened: list[str] = field(default_factory=list)

    def load(self, path: str) -> object:
        name = path.rpartition("/")[2]
        self.opened.append(path)
        if name in self.broken:
            raise OSError(self.broken[name])
        if name in self.absent:
            raise OSError(f"{name}: {MISSING}")
        return {
            "libcuda.so.1": self._cuda(),
            "libnvidia-ml.so.1": self._management(),
            "libcudart.so.13": SimpleNamespace(cudaRuntimeGetVersion=lambda p: _set(p, 13000)),
            "libcudnn.so.9": SimpleNamespace(cudnnGetVersion=_Callable(lambda: 91400)),
            "libnvinfer.so.10": SimpleNamespace(getInferLibVersion=lambda: 101401),
        }.get(name, SimpleNamespace())

    def _cuda(self) -> SimpleNamespace:
        def device_name(buffer, size, device):
            buffer.value = self.gpus[device.value][0].encode()
            return 0

        def uuid(array, device):
            array[:] = self.gpus[device.value][1]
            return 0

        return SimpleNamespace(
            cuInit=lambda flags: 0 if self.gpus else 100,
            cuDriverGetVersion=lambda p: _set(p, 13000),
            cuDeviceGetCount=lambda p: _set(p, len(self.gpus)),
            cuDeviceGet=_set,
            cuDeviceGetName=device_name,
            cuDeviceGetUuid_v2=uuid,
            cuDeviceTotalMem_v2=lambda p, device: _set(p, self.gpus[device.value][3]),
            cuDeviceGetAttribute=lambda p, attribute, device: _set(
                p, self.gpus[device.value][2][(75, 76).index(attribute)]
            ),
        )

    def _management(self) -> SimpleNamespace:
        def driver_version(buffer, size):
            buffer.value = self.driver.encode()
            return 0

        def memory(handle, pointer):
            pointer._obj.free = self.free
            return 0

        return SimpleNamespace(
            nvmlInit_v2=lambda: 0,
            nvmlShutdown=lambda: 0,
            nvmlSystemGetDriverVersion=driver_version,
            nvmlDeviceGetHandleByUUID=lambda identifier, pointer: (
                0 if identifier.startswith(b"GPU-00010203-") else 6
            ),
            nvmlDeviceGetMemoryInfo=memory,
        )


class _Callable:
    """A function of ctypes, whose ``restype`` can be set."""

    def __init__(self, function: Callable[[], int]) -> None:
        self.function = function
        self.restype: object = None

    def __call__(self) -> int:
        return self.function()


class FakeSession:
    """A session whose nodes run where ``placed`` says."""

    def __init__(
        self,
        used: list[str],
        placed: dict[str, list[str]],
        *,
        gives: NDArray[np.float32] | None = None,
    ) -> None:
        self.used = used
        self.placed = placed
        self.gives = gives

    def get_providers(self) -> list[str]:
        return self.used

    def get_provider_graph_assignment_info(self) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(
                ep_name=name,
                get_nodes=lambda operators=operators: [
                    SimpleNamespace(op_type=operator, name="", domain="") for operator in operators
                ],
            )
            for name, operators in self.placed.items()
        ]

    def run(self, names: list[str], inputs: dict) -> list:
        return [0 * inputs["x"] if self.gives is None else self.gives]


def use_machine(monkeypatch: pytest.MonkeyPatch, machine: FakeMachine) -> FakeMachine:
    """Let the loader find what ``machine`` has."""
    monkeypatch.setattr(shared_libraries, "load_library", machine.load)
    return machine
