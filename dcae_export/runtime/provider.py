"""Choose an ONNX Runtime execution provider, and get that one or an error."""

import enum
import importlib
from types import ModuleType

from dcae_export.errors import ProviderError

INSTALL_LINE = "pip install 'dcae-export[cpu]', or 'dcae-export[gpu]' for an NVIDIA GPU"


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
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ProviderError(f"no ONNX Runtime is installed; {INSTALL_LINE}") from error


def installed_version() -> str:
    """The version of the installed ONNX Runtime.

    Raises:
        ProviderError: None is installed.
    """
    return str(load_onnxruntime().__version__)


def require_listed(provider: Provider) -> None:
    """Check that the installed build knows ``provider``, before a session is made for it.

    A listed provider may still fail to load: only a session's own list of providers is proof.

    Raises:
        ProviderError: The build lacks it; the message names the package that brings it.
    """
    if provider.onnxruntime_name not in load_onnxruntime().get_available_providers():
        raise ProviderError(
            f"{provider.value}: the installed ONNX Runtime {installed_version()} was built without "
            f"{provider.onnxruntime_name}; pip uninstall -y onnxruntime, then "
            "pip install 'dcae-export[gpu]'"
        )
