import sys
from types import SimpleNamespace

import onnx
import pytest
from fake_nvidia import FakeMachine, use_machine

from dcae_export.errors import ProviderError
from dcae_export.runtime import provider_probe
from dcae_export.runtime.provider import Provider
from dcae_export.runtime.provider_probe import Probe


def test_the_probe_is_a_valid_model_of_one_node():
    model = onnx.load_from_string(provider_probe._ONE_NODE)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Relu"]


def test_the_cpu_works_here():
    probes = {probe.provider: probe for probe in provider_probe.probe_providers()}
    assert list(probes) == list(Provider)
    assert probes[Provider.CPU] == Probe(provider=Provider.CPU, works=True, reason="")


def test_a_build_without_a_provider_is_told_with_the_way_out(monkeypatch):
    use_machine(monkeypatch, FakeMachine())
    use_runtime(monkeypatch, working, listed=["AzureExecutionProvider", "CPUExecutionProvider"])
    cpu, *gpus = provider_probe.probe_providers()
    assert cpu.works
    for probe, name in zip(
        gpus, ("CUDAExecutionProvider", "TensorrtExecutionProvider"), strict=True
    ):
        assert not probe.works
        assert probe.reason.startswith(f"the installed ONNX Runtime 1.0 was built without {name}; ")
        assert "; pip uninstall -y onnxruntime onnxruntime-gpu, then pip install " in probe.reason


def working(*args, **options):
    return SimpleNamespace(
        get_providers=lambda: ["CPUExecutionProvider"],
        run=lambda names, inputs: [0 * inputs["x"]],
    )


def use_runtime(monkeypatch, session, listed=("CUDAExecutionProvider", "CPUExecutionProvider")):
    fake = SimpleNamespace(
        __version__="1.0",
        get_available_providers=lambda: list(listed),
        set_default_logger_severity=lambda level: None,
        SessionOptions=SimpleNamespace,
        InferenceSession=session,
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)


def test_a_provider_that_is_silently_replaced_does_not_work(monkeypatch):
    use_runtime(monkeypatch, working)
    cpu, cuda, _ = provider_probe.probe_providers()
    assert cpu.works
    assert (cuda.works, cuda.reason) == (False, "its libraries cannot be loaded")


def test_a_provider_that_fails_says_why_in_one_line(monkeypatch):
    def session(*args, **options):
        assert options["enable_fallback"] == 0
        raise RuntimeError("libcublas.so.12:\n  cannot open shared object file")

    use_runtime(monkeypatch, session)
    reasons = [probe.reason for probe in provider_probe.probe_providers()[:2]]
    assert reasons == ["libcublas.so.12: cannot open shared object file"] * 2


def test_without_an_onnx_runtime_none_works_and_each_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for probe in provider_probe.probe_providers():
        assert not probe.works
        assert probe.reason.startswith("no ONNX Runtime is installed; pip install")
    with pytest.raises(ProviderError, match="pip install"):
        provider_probe.listed_providers()
