"""Export one graph: trace, simplify, save, and hold the saved file to PyTorch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx_ir as ir
from torch import Tensor, nn

from dcae_export.bundle.manifest import (
    FORMAT_VERSION,
    FORMAT_VERSION_KEY,
    MODEL_ID_KEY,
    AxisName,
    AxisRange,
    Golden,
    Graph,
    GraphName,
    ParityRecord,
    Simplification,
)
from dcae_export.bundle.reader import GraphFiles
from dcae_export.errors import ExportError, ParityError
from dcae_export.export.activation_memory import activation_bytes, attention_bytes
from dcae_export.export.float16_ranges import judge_mixed
from dcae_export.export.gate import Case, judge, reference_case
from dcae_export.export.mixed_precision import Mixed, mix, small_cases
from dcae_export.export.options import ExportOptions
from dcae_export.export.rewrite import rewrite_module
from dcae_export.export.save import save_graph
from dcae_export.export.simplify import Simplified, simplify
from dcae_export.export.structure import check_structure
from dcae_export.export.target import TARGETS
from dcae_export.export.trace import Signature, trace
from dcae_export.export.trajectory import Trajectory
from dcae_export.parity import Tolerance, tolerance_of

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphJob:
    """One graph to export.

    ``cases`` are the inputs that the gate will try, by name: each a tensor for every port, in the order of the
    module's arguments. The first becomes the golden case. ``example`` names the one that is traced. ``small`` are
    such inputs on small grids, and ``trajectory`` is a transformer's, for the module in a mixed precision; a graph in
    float32 needs neither.
    """

    name: GraphName
    module: nn.Module
    signature: Signature
    ranges: dict[AxisName, AxisRange]
    cases: Mapping[str, Mapping[str, Tensor]]
    example: str
    small: Mapping[str, Mapping[str, Tensor]] = field(
        default_factory=dict[str, Mapping[str, Tensor]]
    )
    trajectory: Trajectory | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedGraph:
    """What the manifest says of a graph that was saved and has passed."""

    graph: Graph
    parity: list[ParityRecord]
    simplification: Simplification
    golden: Golden


@dataclass(frozen=True, kw_only=True, slots=True)
class _Destination:
    staging: Path
    options: ExportOptions
    model_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Expected:
    """What a saved file is held to; ``mixed`` is what a mixed one is held to besides."""

    cases: Sequence[Case]
    tolerance: Tolerance
    mixed: Mixed | None


def export_graph(
    job: GraphJob, staging: Path, options: ExportOptions, *, model_id: str, progress: Progress
) -> ExportedGraph:
    """Export ``job`` into the folder ``staging``.

    The module is rewritten in place. A simplifier's result that loses parity, or has what no graph may have, is not
    used.

    Raises:
        ParityError: The saved graph does not compute what PyTorch computes, or leaves the range of float16.
        ExportError: The graph could not be made.
        UsageError: The weights do not fit in the single file that was asked for.
    """
    target = TARGETS[options.target]
    destination = _Destination(staging=staging, options=options, model_id=model_id)
    cases = [reference_case(job.module, name, inputs) for name, inputs in job.cases.items()]
    small = None
    if options.precision == "fp16":
        progress(f"{job.name}: running PyTorch on small inputs")
        small = small_cases(job.module, job.small, job.trajectory)
    rewrite_module(job.module, target)
    output = job.signature.output
    tolerance = tolerance_of(output.name, output.dtype, precision=options.precision)
    mixed = None
    if small is not None:
        progress(f"{job.name}: calibrating, and running PyTorch in float16")
        mixed = mix(job.module, small, cases, graph=job.name, tolerance=tolerance)
    expected = _Expected(cases=cases, tolerance=tolerance, mixed=mixed)
    progress(f"{job.name}: tracing")
    example = tuple(job.cases[job.example].values())
    model = trace(job.module, example, job.signature, target=target)
    progress(f"{job.name}: simplifying")
    simplified = simplify(model, simplifier=options.simplifier)
    progress(f"{job.name}: writing and comparing with PyTorch")
    try:
        graph, parity = _save_and_judge(job, simplified.model, destination, expected)
    except (ParityError, ExportError) as error:
        if not simplified.used:
            raise
        lost = "parity" if isinstance(error, ParityError) else "the structure"
        simplified = Simplified(
            model=model,
            used=False,
            outcome=f"{options.simplifier} lost {lost}",
            nodes_before=simplified.nodes_before,
            nodes_after=simplified.nodes_before,
        )
        graph, parity = _save_and_judge(job, model, destination, expected)
    return ExportedGraph(
        graph=graph,
        parity=parity,
        simplification=Simplification(
            graph=job.name,
            simplifier=options.simplifier,
            outcome=simplified.outcome,
            nodes_before=simplified.nodes_before,
            nodes_after=simplified.nodes_after,
        ),
        golden=_write_golden(job, cases[0], staging),
    )


def _save_and_judge(
    job: GraphJob,
    model: ir.Model,
    destination: _Destination,
    expected: _Expected,
) -> tuple[Graph, list[ParityRecord]]:
    check_structure(model, name=job.name)
    options, mixed = destination.options, expected.mixed
    model.metadata_props.clear()  # A simplifier's notes on itself.
    model.metadata_props[MODEL_ID_KEY] = destination.model_id
    model.metadata_props[FORMAT_VERSION_KEY] = str(FORMAT_VERSION)
    path = destination.staging / f"{job.name}.onnx"
    data = save_graph(model, path, options)
    graph = Graph(
        path=path.name,
        data=tuple(file.name for file in data),
        target=options.target,
        precision="fp32" if mixed is None else "fp16",
        fp32_blocks=None if mixed is None else mixed.plan.fp32,
        opset=TARGETS[options.target].opset,
        activation_bytes=activation_bytes(model),
        attention_bytes=attention_bytes(model),
        inputs=job.signature.inputs,
        outputs=(job.signature.output,),
        ranges=job.ranges,
    )
    files = GraphFiles(model=path.read_bytes(), path=path, data=data, graph=graph)
    records = judge(files, expected.cases, graph=job.name, tolerance=expected.tolerance)
    if mixed is None:
        return graph, records
    judge_mixed(files, expected.cases, mixed.rounded)
    return graph, [*mixed.parity, *records]


def _write_golden(job: GraphJob, case: Case, staging: Path) -> Golden:
    folder = staging / "golden"
    folder.mkdir(exist_ok=True)
    arrays = {**case.inputs, job.signature.output.name: case.expected}
    names = {port: f"golden/{job.name}-{port}.npy" for port in arrays}
    for port, array in arrays.items():
        np.save(staging / names[port], np.ascontiguousarray(array))
    output = job.signature.output.name
    return Golden(
        graph=job.name,
        inputs={port: names[port] for port in case.inputs},
        outputs={output: names[output]},
    )
