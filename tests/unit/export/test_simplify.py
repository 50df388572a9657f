"""A simplifier can win, but never lose a graph.

Most children here are stand-ins that take the simplifier's place: they get the same arguments, run as
processes of their own and misbehave in one way each.
"""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from export_factory import graph, operators, run, text

from dcae_export.export import simplify as simplify_module
from dcae_export.export.simplify import Simplified, simplify
from dcae_export.export.simplify_child import _bound_memory

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-ins are shell scripts")

WEIGHT_BYTES = 64 * 64 * 4
X = np.random.default_rng(0).standard_normal((2, 64, 3, 5), dtype=np.float32)

SOURCE = """(float[batch,64,height,width] x) => (float[batch,64,height,width] y)
    <float[batch,64,height,width] a, float[batch,64,height,width] b, float[1] one = {1.0}> {
        a = Conv(x, kernel)
        b = Mul(a, one)
        y = Relu(b)
    }"""
SMALLER = """(float[batch,64,height,width] x, float[64,64,1,1] kernel) => (float[batch,64,height,width] y)
    { a = Conv(x, kernel) y = Relu(a) }"""


@pytest.fixture
def model() -> ir.Model:
    result = graph(SOURCE.replace("one = {1.0}", "one = {1.0}, float[64,64,1,1] kernel = {0}"))
    values = np.random.default_rng(1).standard_normal((64, 64, 1, 1), dtype=np.float32)
    result.graph.initializers["kernel"].const_value = ir.tensor(values, name="kernel")
    return result


@pytest.fixture
def child(monkeypatch, tmp_path) -> Callable[..., None]:
    """Put a Python program in the simplifier's place: ``source`` and ``result`` are its files."""

    def install(body: str) -> None:
        program, command = tmp_path / "child.py", tmp_path / "child"
        program.write_text(
            "import sys, shutil, pathlib\n"
            "source, result = map(pathlib.Path, sys.argv[-2:])\n" + body
        )
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{program}" "$@"\n')
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(simplify_module.sys, "executable", str(command))

    return install


def save_graph(path: Path, source: str) -> str:
    ir.save(graph(source), path)
    return f"shutil.copy({str(path)!r}, result)"


def assert_unchanged(model: ir.Model, before: bytes, simplified: Simplified) -> None:
    assert simplified.model is model
    assert text(model) == before
    assert simplified.nodes_before == simplified.nodes_after == len(operators(model))


def test_a_smaller_graph_is_used_with_its_weights_back_in_place(model, child, tmp_path):
    before = run(model, x=X)
    child(save_graph(tmp_path / "smaller.onnx", SMALLER))
    simplified = simplify(model, simplifier="onnxsim")
    assert (simplified.used, simplified.nodes_before, simplified.nodes_after) == (True, 3, 2)
    assert [value.name for value in simplified.model.graph.inputs] == ["x"]
    np.testing.assert_array_equal(run(simplified.model, x=X)[0], before[0])


def test_no_simplifier_starts_no_child(model, child):
    child("raise SystemExit('started')")
    before = text(model)
    simplified = simplify(model, simplifier="none")
    assert (simplified.used, simplified.outcome) == (False, "not asked for")
    assert_unchanged(model, before, simplified)


def test_large_weights_never_reach_the_child(model, child, tmp_path):
    seen = tmp_path / "seen.onnx"
    child(f"shutil.copy(source, {str(seen)!r}); shutil.copy(source, result)")
    before = text(model)
    assert simplify(model, simplifier="onnxsim").used
    assert seen.stat().st_size < WEIGHT_BYTES / 10
    assert sorted(value.name for value in ir.load(seen).graph.inputs) == ["kernel", "x"]
    assert "one" in ir.load(seen).graph.initializers
    assert text(model) == before


INTERFACE = "onnxsim changed the graph's inputs, outputs or opset"
FAULTS = {
    "an error": ("sys.exit('it broke')", "onnxsim failed: it broke"),
    "an error without a word": ("sys.exit(3)", "onnxsim failed: no message"),
    "a crash": ("import os; os.abort()", "onnxsim failed: no message"),
    "a large file": (
        "result.write_bytes(source.read_bytes() * 3)",
        "onnxsim made the graph larger",
    ),
    "no file": ("pass", "onnxsim failed: it wrote no graph"),
    "an empty file": ("result.touch()", INTERFACE),
    "no graph": ("result.write_bytes(b'no graph')", "onnxsim failed: it wrote no graph"),
}


@pytest.mark.parametrize(("body", "outcome"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_child_changes_nothing_and_the_outcome_says_why(model, child, body, outcome):
    child(body)
    before = text(model)
    simplified = simplify(model, simplifier="onnxsim")
    assert simplified.outcome == outcome
    assert_unchanged(model, before, simplified)


def test_a_child_that_takes_too_long_is_ended_and_changes_nothing(model, child, monkeypatch):
    monkeypatch.setattr(simplify_module, "TIMEOUT_SECONDS", 0.1)
    child("import time; time.sleep(60)")
    before = text(model)
    simplified = simplify(model, simplifier="onnxslim")
    assert simplified.outcome == "onnxslim took over 0.1 s"
    assert_unchanged(model, before, simplified)


OTHER_GRAPHS = {
    "more nodes": (
        SMALLER.replace("y = Relu(a)", "b = Relu(a) c = Relu(b) y = Relu(c)"),
        "onnxsim added nodes: 3 became 4",
    ),
    "another name of the input": (SMALLER.replace("x", "image"), INTERFACE),
    "another name of the output": (SMALLER.replace("y", "z"), INTERFACE),
    "a fixed batch": (SMALLER.replace("batch", "1"), INTERFACE),
    "another type": (SMALLER.replace("float[batch", "double[batch"), INTERFACE),
    "one output more": (SMALLER.replace("y)", "y, float[n] a)", 1), INTERFACE),
}


@pytest.mark.parametrize(("other", "outcome"), OTHER_GRAPHS.values(), ids=OTHER_GRAPHS)
def test_a_graph_that_is_no_drop_in_is_not_used(model, child, tmp_path, other, outcome):
    child(save_graph(tmp_path / "other.onnx", other))
    before = text(model)
    simplified = simplify(model, simplifier="onnxsim")
    assert simplified.outcome == outcome
    assert_unchanged(model, before, simplified)


def test_a_graph_of_another_opset_is_not_used(model, child, tmp_path):
    ir.save(graph(SMALLER, opset=19), tmp_path / "other.onnx")
    child(f"shutil.copy({str(tmp_path / 'other.onnx')!r}, result)")
    simplified = simplify(model, simplifier="onnxsim")
    assert simplified.outcome == INTERFACE


def test_the_child_bounds_its_own_memory(monkeypatch):
    import resource  # noqa: PLC0415 - POSIX only

    asked: list[object] = []
    monkeypatch.setattr(resource, "setrlimit", lambda *bound: asked.append(bound))
    _bound_memory()
    bytes_allowed = simplify_module.MEMORY_BYTES
    assert asked == [(resource.RLIMIT_AS, (bytes_allowed, bytes_allowed))]


@pytest.mark.integration
def test_a_child_that_needs_more_than_its_memory_changes_nothing(model, monkeypatch, tmp_path):
    command = tmp_path / "child"
    program = (
        "import dcae_export.export.simplify_child as child;"
        "child.MEMORY_BYTES = 2**20;"  # Less than it holds already: the next allocation fails.
        "child.main()"
    )
    # Arguments: -m MODULE SIMPLIFIER IN OUT; the program takes the module's place.
    command.write_text(f'#!/bin/sh\nshift 2\nexec "{sys.executable}" -c "{program}" "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(simplify_module.sys, "executable", str(command))
    before = text(model)
    simplified = simplify(model, simplifier="onnxsim")
    assert simplified.outcome.startswith("onnxsim failed: ")
    assert_unchanged(model, before, simplified)


@pytest.mark.integration
@pytest.mark.parametrize("simplifier", ["onnxsim", "onnxslim"])
def test_each_simplifier_keeps_the_weights_and_the_result(model, simplifier):
    # Long enough that what a simplifier notes in the file about itself is less than the file.
    end = model.graph[2]
    for _ in range(20):
        one = ir.node("Mul", [end.inputs[0], model.graph.initializers["one"]])
        model.graph.insert_before(end, one)
        end.replace_input_with(0, one.outputs[0])
    before = run(model, x=X)
    simplified = simplify(model, simplifier=simplifier)
    assert simplified.used
    assert simplified.nodes_after < simplified.nodes_before
    np.testing.assert_array_equal(run(simplified.model, x=X)[0], before[0])
