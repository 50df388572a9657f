"""GPUs and their driver as the driver says them."""

import pytest
from fake_nvidia import H200, FakeMachine, use_machine

from dcae_export.errors import ProviderError
from dcae_export.runtime.device_memory import memory_for
from dcae_export.runtime.engine_key import find_gpu
from dcae_export.runtime.nvidia_gpu import Driver, Gpu, find_driver, find_gpus, free_memory
from dcae_export.runtime.provider_options import CpuOptions, CudaOptions, TensorRtOptions

L4 = ("NVIDIA L4", bytes(16), (8, 9), 23 * 2**30)


def test_a_gpu_is_described(monkeypatch):
    use_machine(monkeypatch, FakeMachine(gpus=(H200, L4)))
    first, second = find_gpus()
    assert first == Gpu(
        number=0,
        name="NVIDIA H200",
        identifier="GPU-00010203-0405-0607-0809-0a0b0c0d0e0f",
        compute_capability="9.0",
        memory=141 * 2**30,
    )
    assert (second.number, second.compute_capability) == (1, "8.9")


def test_the_driver_says_its_version_and_its_cuda(monkeypatch):
    use_machine(monkeypatch, FakeMachine())
    assert find_driver() == Driver(version="580.95.05", cuda="13.0")


def test_a_driver_that_cannot_be_asked_its_version_is_a_driver(monkeypatch):
    use_machine(monkeypatch, FakeMachine(absent={"libnvidia-ml.so.1"}))
    assert find_driver() == Driver(version=None, cuda="13.0")


@pytest.mark.parametrize("machine", [FakeMachine(absent={"libcuda.so.1"}), FakeMachine(gpus=())])
def test_without_a_driver_or_a_gpu_there_is_none(monkeypatch, machine):
    use_machine(monkeypatch, machine)
    assert find_driver() is None
    assert find_gpus() == []


def test_free_memory_is_asked_by_the_gpus_own_number(monkeypatch):
    use_machine(monkeypatch, FakeMachine(gpus=(H200, L4), free=7))
    first, second = find_gpus()
    assert free_memory(first) == 7
    assert free_memory(second) is None


def test_a_gpu_that_is_not_there_is_an_error_that_lists_those_that_are(monkeypatch):
    use_machine(monkeypatch, FakeMachine())
    with pytest.raises(ProviderError, match=r"no GPU 1 here; those there are: 0 \(NVIDIA H200\)"):
        find_gpu(1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (CudaOptions(), 1000),
        (CudaOptions(memory_limit=10), 10),
        (TensorRtOptions(memory_limit=2000), 1000),
        (CudaOptions(device=1), None),
        (CudaOptions(device=1, memory_limit=10), 10),
        (CpuOptions(memory_limit=10), 10),
    ],
)
def test_a_run_may_take_what_is_free_where_it_runs_within_its_limit(monkeypatch, options, expected):
    use_machine(monkeypatch, FakeMachine(free=1000))
    assert memory_for(options) == expected
