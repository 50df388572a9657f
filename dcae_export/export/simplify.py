"""Run a graph simplifier in a child process with bounds on time and memory.

The child sees the graph's structure only: large weights travel as graph inputs and come back to their places
afterwards, so that a 3 GB model simplifies in the memory of its node list. (All folding of weights is done
before, by our own passes.) A simplifier that fails, times out or makes the graph larger loses nothing: the
graph stays as it was and the outcome says why.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from dcae_export.export.options import SimplifierName

TIMEOUT_SECONDS = 300
MEMORY_BYTES = 8 * 2**30
# Above every shape, scalar and norm constant that folding wants to see, below every convolution's weights.
STRUCTURAL_BYTES = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Simplified:
    """The graph to use, whether it is the simplifier's, and what became of the attempt in words."""

    model: ir.Model
    used: bool
    outcome: str
    nodes_before: int
    nodes_after: int


class _Unusable(Exception):
    """Why the simplifier's result is not used."""


def simplify(model: ir.Model, *, simplifier: SimplifierName) -> Simplified:
    """Simplify ``model``, or say in the outcome why it stays as it was."""
    if simplifier == "none":
        return _unchanged(model, "not asked for")
    try:
        simplified = _simplified(model, simplifier)
    except _Unusable as reason:
        return _unchanged(model, f"{simplifier} {reason}")
    before, after = len(list(model.graph)), len(list(simplified.graph))
    return Simplified(
        model=simplified, used=True, outcome="used", nodes_before=before, nodes_after=after
    )


def _simplified(model: ir.Model, simplifier: SimplifierName) -> ir.Model:
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "in.onnx"), Path(folder, "out.onnx")
        _save_structure(model, source)
        _run_child(simplifier, source, result)
        if not result.exists():
            raise _Unusable("failed: it wrote no graph")
        if result.stat().st_size > 2 * source.stat().st_size:
            raise _Unusable("made the graph larger")
        simplified = _load(result)
    before, after = len(list(model.graph)), len(list(simplified.graph))
    if after > before:
        raise _Unusable(f"added nodes: {before} became {after}")
    if not _restore_weights(simplified, model):
        raise _Unusable("changed the graph's inputs, outputs or opset")
    return simplified


def _run_child(simplifier: SimplifierName, source: Path, result: Path) -> None:
    module = "dcae_export.export.simplify_child"
    try:
        subprocess.run(  # noqa: S603 - our own module, no shell
            [sys.executable, "-m", module, simplifier, str(source), str(result)],
            check=True,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise _Unusable(f"took over {TIMEOUT_SECONDS} s") from None
    except subprocess.CalledProcessError as error:
        raise _Unusable(f"failed: {_last_line(error.stderr)}") from None


def _load(path: Path) -> ir.Model:
    try:
        return ir.load(path)  # pyright: ignore[reportUnknownMemberType] - half typed
    # A child that was cut short leaves any bytes, and each layer of the parser has its own errors.
    except Exception as error:
        raise _Unusable("failed: it wrote no graph") from error


def _unchanged(model: ir.Model, outcome: str) -> Simplified:
    count = len(list(model.graph))
    return Simplified(
        model=model, used=False, outcome=outcome, nodes_before=count, nodes_after=count
    )


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "no message"


def _save_structure(model: ir.Model, path: Path) -> None:
    """Save ``model`` with its large weights as inputs; ``model`` itself is the same afterwards."""
    graph = model.graph
    weights = {
        name: value
        for name, value in graph.initializers.items()
        if value.const_value is not None and value.const_value.nbytes > STRUCTURAL_BYTES
    }
    arguments = len(graph.inputs)
    for name, value in weights.items():
        del graph.initializers[name]
        graph.inputs.append(value)
    try:
        ir.save(model, path)  # pyright: ignore[reportUnknownMemberType] - half typed
    finally:
        del graph.inputs[arguments:]
        for value in weights.values():
            graph.register_initializer(value)


def _restore_weights(simplified: ir.Model, original: ir.Model) -> bool:
    """Put the weights back in; False where the interface is no longer the original's."""
    graph = simplified.graph
    for value in list(graph.inputs):
        weight = original.graph.initializers.get(value.name or "")
        if weight is not None:
            graph.inputs.remove(value)
            if value.uses():
                value.const_value = weight.const_value
                graph.register_initializer(value)
    return (
        _interface(graph.inputs) == _interface(original.graph.inputs)
        and _interface(graph.outputs) == _interface(original.graph.outputs)
        and simplified.opset_imports == original.opset_imports
    )


def _interface(values: Sequence[ir.Value]) -> list[tuple[str | None, str, str]]:
    return [(value.name, str(value.shape), str(value.dtype)) for value in values]
