import sys
from types import SimpleNamespace

import onnx
import pytest

from dcae_export.errors import ProviderError
from dcae_export.runtime import provider_probe


def test_the_probe_is_a_valid_model_of_one_node():
    model = onnx.load_from_string(provider_probe._ONE_NODE)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Relu"]


def test_the_cpu_works_here():
    probes = {probe.provider: probe for probe in provider_probe.probe_providers()}
    assert probes["CPUExecutionProvider"].works
    assert set(probes) == set(provider_probe.listed_providers())


def use_runtime(monkeypatch, session):
    fake = SimpleNamespace(
        get_available_providers=lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
        set_default_logger_severity=lambda level: None,
        SessionOptions=SimpleNamespace,
        InferenceSession=session,
    )
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)


def test_a_provider_that_is_silently_replaced_does_not_work(monkeypatch):
    def session(*args, **options):
        return SimpleNamespace(
            get_providers=lambda: ["CPUExecutionProvider"],
            run=lambda names, inputs: [0 * inputs["x"]],
        )

    use_runtime(monkeypatch, session)
    assert [(probe.provider, probe.works) for probe in provider_probe.probe_providers()] == [
        ("CUDAExecutionProvider", False),
        ("CPUExecutionProvider", True),
    ]


def test_a_provider_that_fails_says_why_in_one_line(monkeypatch):
    def session(*args, **options):
        assert options["enable_fallback"] == 0
        raise RuntimeError("libcublas.so.12:\n  cannot open shared object file")

    use_runtime(monkeypatch, session)
    assert {probe.reason for probe in provider_probe.probe_providers()} == {
        "libcublas.so.12: cannot open shared object file"
    }


def test_without_an_onnx_runtime_there_is_nothing_to_probe(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert provider_probe.probe_providers() == []
    with pytest.raises(ProviderError, match="pip install"):
        provider_probe.listed_providers()
