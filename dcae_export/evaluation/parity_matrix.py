"""Hold this machine's runtimes to a bundle's golden arrays."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

import numpy as np
from numpy.typing import NDArray

from dcae_export.bundle.reader import Bundle, GraphFiles
from dcae_export.errors import ProviderError
from dcae_export.extras import install_command
from dcae_export.parity import Difference, Tolerance, difference, tolerance_of
from dcae_export.runtime.openvino_session import OpenVINOSession
from dcae_export.runtime.provider import Provider, installed_version
from dcae_export.runtime.provider_options import default_options
from dcae_export.runtime.session import Session, axes_of


class Runtime(enum.Enum):
    """What can run a graph: ONNX Runtime with one of its providers, or an independent implementation."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    OPENVINO = "openvino"
    REFERENCE = "reference"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One golden case on one runtime."""

    graph: str
    runtime: str
    difference: Difference
    tolerance: Tolerance

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.difference.within(self.tolerance)


class _Runs(Protocol):
    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]: ...


def measure(bundle: Bundle, runtimes: Sequence[Runtime]) -> list[Measurement]:
    """Run every golden case on every runtime.

    Raises:
        ProviderError: A runtime is not there.
        BundleError: A runtime does not accept a graph.
        ParityError: A result is not finite.
    """
    measured: list[Measurement] = []
    for case in bundle.manifest.golden:
        inputs, outputs = bundle.golden(case)
        files = bundle.check_graph(case.graph)
        for runtime in runtimes:
            label, session = _open(runtime, files, inputs)
            results = session.run(inputs)
            measured.extend(
                Measurement(
                    graph=case.graph,
                    runtime=label,
                    difference=difference(results[name], expected),
                    tolerance=tolerance_of(
                        name, expected.dtype.name, precision=files.graph.precision
                    ),
                )
                for name, expected in outputs.items()
            )
    return measured


def _open(
    runtime: Runtime, files: GraphFiles, inputs: Mapping[str, NDArray[np.generic]]
) -> tuple[str, _Runs]:
    match runtime:
        case Runtime.CPU | Runtime.CUDA | Runtime.TENSORRT:
            session = Session(
                files,
                provider=default_options(Provider(runtime.value)),
                axes=axes_of(files.graph, inputs),
            )
            return f"ONNX Runtime {installed_version()} {runtime.value}", session
        case Runtime.OPENVINO:
            compiled = OpenVINOSession(files)
            return f"OpenVINO {compiled.version}", compiled
        case Runtime.REFERENCE:
            return _reference(files)
        case _:
            assert_never(runtime)


def _reference(files: GraphFiles) -> tuple[str, _Runs]:
    try:
        from dcae_export.export.reference_session import ReferenceSession  # noqa: PLC0415
    except ImportError as error:
        raise ProviderError(
            f"the reference evaluator comes with onnx; {install_command('export')}"
        ) from error
    session = ReferenceSession(files)
    return f"onnx.reference {session.version}", session
