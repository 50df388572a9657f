"""Choose an ONNX Runtime execution provider, and get that one or an error."""

import enum
import importlib
from types import ModuleType

from dcae_export.errors import ProviderError
from dcae_export.extras import install_command

SILENT = 4
"""ONNX Runtime's "fatal": what it has to say comes as an exception as well."""


class Provider(enum.Enum):
    """Where a graph runs."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"

    @property
    def onnxruntime_name(self) -> str:
        """The provider's name in ONNX Runtime."""
        return _NAMES[self]


_NAMES = {
    Provider.CPU: "CPUExecutionProvider",
    Provider.CUDA: "CUDAExecutionProvider",
    Provider.TENSORRT: "TensorrtExecutionProvider",
}


def load_onnxruntime() -> ModuleType:
    """Import ONNX Runtime, which the base installation leaves to the user's choice.

    Raises:
        ProviderError: None is installed; the message says what to type.
    """
    try:
        onnxruntime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ProviderError(f"no ONNX Runtime is installed; {install_hint()}") from error
    # Where pip removed one of two distributions in one folder, an empty one is left, which imports.
    if not hasattr(onnxruntime, "InferenceSession"):
        raise ProviderError(
            "the installed ONNX Runtime is damaged; pip uninstall -y onnxruntime onnxruntime-gpu, "
            f"then {install_hint()}"
        )
    # What fails before a session has options is logged by this one, in colour, and is no exception.
    onnxruntime.set_default_logger_severity(SILENT)
    return onnxruntime


def install_hint() -> str:
    """What to type where there is no ONNX Runtime."""
    return f"{install_command('cpu')}, or with [gpu] for an NVIDIA GPU"


def installed_version() -> str:
    """The version of the installed ONNX Runtime.

    Raises:
        ProviderError: None is installed.
    """
    return str(load_onnxruntime().__version__)


def built_for_cuda() -> str | None:
    """The CUDA version that the installed build was made for, as in 13.0; None for one without CUDA.

    Raises:
        ProviderError: No ONNX Runtime is installed.
    """
    return str(getattr(load_onnxruntime(), "cuda_version", "")) or None
