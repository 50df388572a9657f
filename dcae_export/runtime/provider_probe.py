"""Try each execution provider that this package uses."""

from dataclasses import dataclass

import numpy as np

from dcae_export.errors import ProviderError
from dcae_export.runtime.provider import SILENT, Provider, load_onnxruntime
from dcae_export.runtime.provider_failures import provider_reason
from dcae_export.runtime.provider_options import ProviderOptions, default_options
from dcae_export.runtime.shared_libraries import require_listed, what_is_missing
from dcae_export.runtime.small_graph import Node, Value, write_graph

_ONE_NODE = write_graph(
    [Node(operator="Relu", inputs=["x"], outputs=["y"])],
    inputs=[Value(name="x", shape=(1,))],
    outputs=[Value(name="y", shape=(1,))],
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """Whether a provider runs; ``reason`` says why where it does not, with the way out where there is one."""

    provider: Provider
    works: bool
    reason: str


def listed_providers() -> list[str]:
    """The providers that the installed build was made with, by ONNX Runtime's names.

    Raises:
        ProviderError: No ONNX Runtime is installed.
    """
    return [str(name) for name in load_onnxruntime().get_available_providers()]


def probe_providers() -> list[Probe]:
    """Run one node on each."""
    return [probe(default_options(provider)) for provider in Provider]


def probe(options: ProviderOptions) -> Probe:
    """Run one node on the provider that these are the options of."""
    provider = options.provider
    try:
        require_listed(provider)
        reason = what_is_missing(provider) or _failure_of_one_node(options)
    except ProviderError as error:
        # The caller says which provider it is about.
        reason = str(error).removeprefix(f"{provider.value}: ")
    return Probe(provider=provider, works=not reason, reason=reason)


def _failure_of_one_node(options: ProviderOptions) -> str:
    """Why a node does not run; nothing where it does."""
    name = options.provider.onnxruntime_name
    onnxruntime = load_onnxruntime()
    silent = onnxruntime.SessionOptions()
    silent.log_severity_level = SILENT
    try:
        # With its fallback on, ONNX Runtime prints to stdout and takes another provider.
        session = onnxruntime.InferenceSession(
            _ONE_NODE, silent, providers=options.onnxruntime_providers(), enable_fallback=0
        )
        used = session.get_providers()
        # Only what the session says it uses is proof: a provider that cannot be loaded is left out.
        if name not in used:
            return "its libraries cannot be loaded"
        # A GPU for which the build holds no code is found by running.
        (result,) = session.run(["y"], {"x": np.array([-1.0], np.float32)})
    # ONNX Runtime's exceptions have no base but Exception.
    except Exception as error:  # noqa: BLE001
        text = " ".join(str(error).split())
        return provider_reason(text) or text[:200] or type(error).__name__
    return "" if result.tolist() == [0.0] else f"gave {result.tolist()} for [0.0]"
