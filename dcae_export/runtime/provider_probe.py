"""Try each execution provider that the installed ONNX Runtime lists."""

from dataclasses import dataclass

from dcae_export.errors import ProviderError
from dcae_export.runtime.provider import load_onnxruntime

# A whole ONNX file: IR version 8, opset 13, y = Relu(x) for one float32. Made with onnx.helper; it stands here
# as bytes because the runtime does without onnx.
_ONE_NODE = (
    b'\x08\x08:7\n\x0c\n\x01x\x12\x01y"\x04Relu\x12\x05probe'
    b"Z\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01"
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\r"
)
_SILENT = 4  # ONNX Runtime's "fatal": what it has to say comes as an exception as well.


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
    return [_probe(name) for name in names]


def _probe(name: str) -> Probe:
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _SILENT
    try:
        # With its fallback on, ONNX Runtime prints to stdout and takes another provider.
        session = onnxruntime.InferenceSession(
            _ONE_NODE, options, providers=[name], enable_fallback=0
        )
        used = session.get_providers()
    # ONNX Runtime's exceptions have no base but Exception.
    except Exception as error:  # noqa: BLE001
        return Probe(provider=name, works=False, reason=" ".join(str(error).split())[:200])
    # Only what the session says it uses is proof: a listed provider whose libraries are missing is left out.
    if name not in used:
        return Probe(provider=name, works=False, reason="its libraries cannot be loaded")
    return Probe(provider=name, works=True, reason="")
