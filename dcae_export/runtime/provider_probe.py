"""Try each execution provider that the installed ONNX Runtime lists."""

from dataclasses import dataclass

import numpy as np

from dcae_export.errors import ProviderError
from dcae_export.runtime.provider import SILENT, Provider, load_onnxruntime
from dcae_export.runtime.provider_failures import provider_reason
from dcae_export.runtime.provider_options import ProviderOptions, default_options
from dcae_export.runtime.shared_libraries import what_is_missing
from dcae_export.runtime.small_graph import Node, Value, write_graph

_ONE_NODE = write_graph(
    [Node(operator="Relu", inputs=["x"], outputs=["y"])],
    inputs=[Value(name="x", shape=(1,))],
    outputs=[Value(name="y", shape=(1,))],
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """Whether a provider runs; ``reason`` says why where it does not."""

    provider: str
    works: bool
    reason: str


def listed_providers() -> list[str]:
    """The providers that the installed build was made with, by ONNX Runtime's names.

    Raises:
        ProviderError: No ONNX Runtime is installed.
    """
    return [str(name) for name in load_onnxruntime().get_available_providers()]


def probe_providers() -> list[Probe]:
    """Run one node on every listed provider; without an ONNX Runtime there is none."""
    try:
        names = listed_providers()
    except ProviderError:
        return []
    ours = {provider.onnxruntime_name: provider for provider in Provider}
    return [_probe(name, ours.get(name)) for name in names]


def probe(options: ProviderOptions) -> Probe:
    """Run one node on the provider that these are the options of."""
    provider = options.provider
    name = provider.onnxruntime_name
    try:
        if name not in listed_providers():
            return Probe(
                provider=name, works=False, reason="this ONNX Runtime was built without it"
            )
        missing = what_is_missing(provider)
    except ProviderError as error:
        return Probe(provider=name, works=False, reason=str(error))
    if missing is not None:
        return Probe(provider=name, works=False, reason=missing)
    return _run_one_node(name, options.onnxruntime_providers())


def _probe(name: str, provider: Provider | None) -> Probe:
    return _run_one_node(name, [name]) if provider is None else probe(default_options(provider))


def _run_one_node(name: str, providers: list[str] | list[tuple[str, dict[str, str]]]) -> Probe:
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = SILENT
    try:
        # With its fallback on, ONNX Runtime prints to stdout and takes another provider.
        session = onnxruntime.InferenceSession(
            _ONE_NODE, options, providers=providers, enable_fallback=0
        )
        used = session.get_providers()
        # Only what the session says it uses is proof: a provider that cannot be loaded is left out.
        if name not in used:
            return Probe(provider=name, works=False, reason="its libraries cannot be loaded")
        # A GPU for which the build holds no code is found by running.
        (result,) = session.run(["y"], {"x": np.array([-1.0], np.float32)})
    # ONNX Runtime's exceptions have no base but Exception.
    except Exception as error:  # noqa: BLE001
        text = " ".join(str(error).split())
        return Probe(provider=name, works=False, reason=provider_reason(text) or text[:200])
    if result.tolist() != [0.0]:
        return Probe(provider=name, works=False, reason=f"gave {result.tolist()} for [0.0]")
    return Probe(provider=name, works=True, reason="")
