"""What was asked for runs, or an error says why not: each way in which ONNX Runtime leaves a provider out."""

from concurrent.futures import ThreadPoolExecutor, wait
from types import SimpleNamespace

import numpy as np
import pytest
from bundle_factory import write_tiny_bundle
from fake_nvidia import FakeMachine, FakeSession, use_machine

from dcae_export.bundle.reader import Bundle
from dcae_export.errors import BundleError, ProviderError, ResourceError
from dcae_export.runtime import automatic_provider as automatic
from dcae_export.runtime import provider, provider_probe
from dcae_export.runtime.bound_graph import turn
from dcae_export.runtime.provider import Provider, load_onnxruntime
from dcae_export.runtime.provider_failures import translate
from dcae_export.runtime.provider_options import CPU, CpuOptions, CudaOptions, TensorRtOptions
from dcae_export.runtime.session import Session

TENSORRT, CUDA, CPU_NAME = (
    "TensorrtExecutionProvider",
    "CUDAExecutionProvider",
    "CPUExecutionProvider",
)
ALL = [TENSORRT, CUDA, CPU_NAME]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    path = write_tiny_bundle(tmp_path_factory.mktemp("decisions") / "bundle")
    return Bundle.open(path).check_graph("decoder")


def use_runtime(monkeypatch, outcome, *, listed=ALL, cuda_version="13.0"):
    """An ONNX Runtime whose sessions are ``outcome``, or fail with it."""
    opened = []

    def open_session(model, options, *, providers, enable_fallback):
        opened.append(providers)
        assert enable_fallback == 0
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    fake = SimpleNamespace(
        __version__="1.31.1",
        cuda_version=cuda_version,
        get_available_providers=lambda: listed,
        preload_dlls=lambda: None,
        set_default_logger_severity=lambda level: None,
        SessionOptions=lambda: SimpleNamespace(add_session_config_entry=lambda key, value: None),
        InferenceSession=open_session,
    )
    monkeypatch.setattr(provider.importlib, "import_module", lambda name: fake)
    return opened


def test_cuda_that_takes_the_nodes_is_what_runs(monkeypatch, files):
    use_machine(monkeypatch, FakeMachine())
    placed = {CUDA: ["Conv", "DepthToSpace"], CPU_NAME: ["Shape", "Gather", "Concat"]}
    opened = use_runtime(monkeypatch, FakeSession([CUDA, CPU_NAME], placed))
    session = Session(files, provider=CudaOptions(device=1))
    assert session.provider is Provider.CUDA
    assert opened == [CudaOptions(device=1).onnxruntime_providers()]


@pytest.mark.parametrize("records", [True, False])
def test_a_session_that_records_is_not_opened_while_another_may_be_recording(
    monkeypatch, files, records
):
    use_machine(monkeypatch, FakeMachine())
    use_runtime(monkeypatch, FakeSession([CUDA, CPU_NAME], {CUDA: ["Conv"]}))
    options = CudaOptions(cuda_graph=records)
    with ThreadPoolExecutor(1) as pool:
        with turn(records=True):
            opening = pool.submit(lambda: Session(files, provider=options))
            done, _ = wait([opening], timeout=0.2 if records else 10)
            assert bool(done) is not records
        assert opening.result(10).provider is Provider.CUDA


@pytest.mark.parametrize(
    ("listed", "machine", "session", "message"),
    [
        ([CPU_NAME], FakeMachine(), None, "cuda: the installed ONNX Runtime 1.31.1 was built without"),
        (
            [CPU_NAME],
            FakeMachine(absent={"libcuda.so.1"}),
            None,
            r"cuda: no NVIDIA driver is here \(libcuda\.so\.1\), and the .* without .*; where there is a GPU, pip",
        ),
        (ALL, FakeMachine(absent={"libcublas.so.13"}), None, "cuda: cannot load libcublas.so.13"),
        (ALL, FakeMachine(absent={"libcuda.so.1"}), None, r"cuda: cannot load libcuda.so.1 \(the NVIDIA"),
        (ALL, FakeMachine(), FakeSession([CPU_NAME], {}), "cuda: ONNX Runtime could not load CUDA"),
        (
            ALL,
            FakeMachine(),
            FakeSession([CUDA, CPU_NAME], {CPU_NAME: ["Conv"]}),
            r"cuda: decoder\.onnx: ONNX Runtime gave it no node",
        ),
        (
            ALL,
            FakeMachine(),
            FakeSession([CUDA, CPU_NAME], {CUDA: ["Conv"], CPU_NAME: ["DepthToSpace", "Shape"]}),
            r"cuda: decoder\.onnx: ONNX Runtime 1\.31\.1 has no DepthToSpace for fp32 there",
        ),
        (
            ALL,
            FakeMachine(),
            RuntimeError("CUDA failure 100: no CUDA-capable device is detected ; GPU=-1"),
            "cuda: no NVIDIA GPU is here",
        ),
        (
            ALL,
            FakeMachine(),
            RuntimeError("CUDA failure 35: CUDA driver version is insufficient ; GPU=0"),
            "cuda: the NVIDIA driver is older",
        ),
        (
            ALL,
            FakeMachine(),
            RuntimeError("CUDA failure 209: no kernel image is available ; GPU=0"),
            "cuda: this ONNX Runtime holds no code for this GPU",
        ),
        (
            ALL,
            FakeMachine(),
            RuntimeError("CUDA failure 101: invalid device ordinal ; GPU=7"),
            "cuda: there is no GPU of this number",
        ),
    ],
)  # fmt: skip
def test_each_way_in_which_cuda_does_not_run_is_an_error(
    monkeypatch, files, listed, machine, session, message
):
    use_machine(monkeypatch, machine)
    use_runtime(monkeypatch, session, listed=listed)
    with pytest.raises(ProviderError, match=message) as caught:
        Session(files, provider=CudaOptions())
    assert "\n" not in str(caught.value)


def test_tensorrt_without_its_libraries_is_an_error_before_a_session_is_made(monkeypatch, files):
    use_machine(monkeypatch, FakeMachine(absent={"libnvinfer.so.10"}))
    opened = use_runtime(monkeypatch, AssertionError("a session was made"))
    with pytest.raises(ProviderError, match=r"libnvinfer\.so\.10 \(pip install 'tensorrt-cu13==10"):
        Session(files, provider=TensorRtOptions(), axes={"batch": 1, "height": 2, "width": 2})
    assert opened == []


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("Failed to allocate memory for requested buffer of size 5", ResourceError, "not enough"),
        ("Available memory of 3 is smaller than requested bytes of 5", ResourceError, "not enough"),
        ("CUDNN_STATUS_ALLOC_FAILED", ResourceError, "not enough memory"),
        ("CUDA failure 2: out of memory ; GPU=0", ResourceError, "not enough memory"),
        ("Please install TensorRT libraries as mentioned", ProviderError, "cannot load TensorRT"),
        ("CUDA failure 700: an illegal memory access ; GPU=0", ProviderError, "failure 700: an il"),
        ("Protobuf parsing failed.", BundleError, "cannot be loaded: Protobuf parsing failed"),
    ],
)
def test_what_onnx_runtime_says_is_the_right_error(text, kind, message):
    error = translate(
        RuntimeError(text), name="x.onnx", what="cannot be loaded", provider=Provider.CUDA
    )
    assert type(error) is kind
    assert message in str(error)


# --------------------------------------------------------------------------------- auto


def test_auto_takes_cuda_where_it_runs_a_node(monkeypatch):
    use_machine(monkeypatch, FakeMachine())
    opened = use_runtime(monkeypatch, FakeSession([CUDA, CPU_NAME], {}))
    asked = CudaOptions(device=2, prefer_nhwc=True, cuda_graph=True)
    assert automatic.automatic_provider(asked) == (asked, "")
    # One node is run on arrays of its own, which a recorded graph would not read.
    assert opened == [CudaOptions(device=2, prefer_nhwc=True).onnxruntime_providers()]


@pytest.mark.parametrize(
    ("listed", "machine", "session", "reason"),
    [
        ([CPU_NAME], FakeMachine(), None, "the installed ONNX Runtime "),
        (ALL, FakeMachine(absent={"libcuda.so.1"}), None, "cannot load libcuda.so.1"),
        (ALL, FakeMachine(), FakeSession([CPU_NAME], {}), "its libraries cannot be loaded"),
        (ALL, FakeMachine(), RuntimeError("CUDA failure 100: none ; GPU=-1"), "no NVIDIA GPU is here"),
    ],
)  # fmt: skip
def test_auto_takes_the_cpu_with_the_reason_where_cuda_does_not_run(
    monkeypatch, listed, machine, session, reason
):
    use_machine(monkeypatch, machine)
    use_runtime(monkeypatch, session, listed=listed)
    assert automatic.automatic_provider(CudaOptions())[0] == CPU
    found, why = automatic.automatic_provider(CudaOptions(memory_limit=5))
    assert found == CpuOptions(memory_limit=5)
    assert why.startswith(reason)


def test_auto_never_takes_tensorrt(monkeypatch):
    use_machine(monkeypatch, FakeMachine())
    opened = use_runtime(monkeypatch, FakeSession([TENSORRT, CUDA, CPU_NAME], {}))
    automatic.automatic_provider(CudaOptions())
    assert [name for providers in opened for name, _ in providers] == [CUDA]


def test_a_provider_that_computes_something_else_does_not_work(monkeypatch):
    use_machine(monkeypatch, FakeMachine())
    session = FakeSession([CUDA, CPU_NAME], {})
    session.run = lambda names, inputs: [np.array([-1.0], np.float32)]
    use_runtime(monkeypatch, session)
    found = provider_probe.probe(CudaOptions())
    assert not found.works
    assert found.reason == "gave [-1.0] for [0.0]"


# --------------------------------------------------------------------------------- placement


def test_the_cpus_own_placement_is_seen(files):
    session = Session(files, provider=CPU)
    placed = {
        part.ep_name: [node.op_type for node in part.get_nodes()]
        for part in session._session.get_provider_graph_assignment_info()
    }
    assert list(placed) == [CPU_NAME]
    assert "DepthToSpace" in placed[CPU_NAME]
    assert CPU_NAME in load_onnxruntime().get_available_providers()
