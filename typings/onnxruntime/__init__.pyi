"""The part of ONNX Runtime's Python interface that this package uses; the library ships no types."""

from collections.abc import Mapping, Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

__version__: str

class GraphOptimizationLevel(Enum):
    ORT_DISABLE_ALL = ...
    ORT_ENABLE_BASIC = ...
    ORT_ENABLE_EXTENDED = ...
    ORT_ENABLE_LAYOUT = ...
    ORT_ENABLE_ALL = ...

class SessionOptions:
    enable_cpu_mem_arena: bool
    enable_mem_pattern: bool
    enable_mem_reuse: bool
    enable_profiling: bool
    graph_optimization_level: GraphOptimizationLevel
    inter_op_num_threads: int
    intra_op_num_threads: int
    log_severity_level: int
    optimized_model_filepath: str
    profile_file_prefix: str
    def __init__(self) -> None: ...
    def add_session_config_entry(self, key: str, value: str, /) -> None: ...

class RunOptions:
    log_severity_level: int
    terminate: bool
    def __init__(self) -> None: ...
    def add_run_config_entry(self, key: str, value: str, /) -> None: ...

class NodeArg:
    name: str
    type: str
    shape: list[int | str | None]

class OrtEpAssignedNode:
    name: str
    op_type: str
    domain: str

class OrtEpAssignedSubgraph:
    ep_name: str
    def get_nodes(self) -> list[OrtEpAssignedNode]: ...

class OrtValue:
    @classmethod
    def ortvalue_from_shape_and_type(
        cls,
        shape: Sequence[int],
        element_type: type[np.generic],
        device_type: str = "cpu",
        device_id: int = 0,
    ) -> OrtValue: ...
    def numpy(self) -> NDArray[np.generic]: ...
    def shape(self) -> Sequence[int]: ...
    def update_inplace(self, np_arr: NDArray[np.generic]) -> None: ...

class IOBinding:
    def bind_ortvalue_input(self, name: str, ortvalue: OrtValue) -> None: ...
    def bind_ortvalue_output(self, name: str, ortvalue: OrtValue) -> None: ...
    def bind_output(self, name: str, device_type: str = "cpu", device_id: int = 0) -> None: ...
    def get_outputs(self) -> list[OrtValue]: ...

class InferenceSession:
    def __init__(
        self,
        path_or_bytes: str | bytes,
        sess_options: SessionOptions | None = None,
        providers: Sequence[str | tuple[str, Mapping[str, str]]] | None = None,
    ) -> None: ...
    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, NDArray[np.generic]],
        run_options: RunOptions | None = None,
    ) -> list[NDArray[np.generic]]: ...
    def io_binding(self) -> IOBinding: ...
    def run_with_iobinding(
        self, iobinding: IOBinding, run_options: RunOptions | None = None
    ) -> None: ...
    def get_inputs(self) -> list[NodeArg]: ...
    def get_outputs(self) -> list[NodeArg]: ...
    def get_providers(self) -> list[str]: ...
    def get_provider_graph_assignment_info(self) -> list[OrtEpAssignedSubgraph]: ...
    def end_profiling(self) -> str: ...

def get_available_providers() -> list[str]: ...
