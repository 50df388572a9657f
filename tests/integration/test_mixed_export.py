"""Exports in float16: what the files hold, what the manifest says, and that a fault is found."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from autoencoders import small_checkpoint
from export_factory import TINY, files
from exported_bundles import count
from transformers_factory import LINEAR, SCALED_LINEAR, TINY_DIT, TINY_UVIT, tiny_transformer

from dcae_export.bundle.reader import Bundle
from dcae_export.errors import ParityError
from dcae_export.evaluation.parity_matrix import Runtime, measure
from dcae_export.export import mixed_precision
from dcae_export.export.exporter import TransformerExport, export
from dcae_export.export.float16_ranges import judge_mixed, wide_copy
from dcae_export.export.gate import Case
from dcae_export.export.options import ExportOptions
from dcae_export.parity import FP16_LATENTS, FP16_PICTURES
from dcae_export.runtime.session import Session

pytestmark = pytest.mark.integration

CHECKPOINT = small_checkpoint(TINY)
HALF, SINGLE = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
SAMPLER = "dpmpp-2m:4"
FIXED = {
    "encoder": ["conv_out"],
    "decoder": ["norm_out", "conv_out"],
    "transformer": ["patch_embed", "time_features", "label_emb", "norm", "decoder_pred"],
}


def exported(folder: Path, config, diffusion, **options) -> Bundle:
    network = tiny_transformer(config, diffusion, sampler=SAMPLER)
    transformer = TransformerExport(checkpoint=network, samplers=(SAMPLER,))
    chosen = ExportOptions(simplifier="none", **options)
    return Bundle.open(export(CHECKPOINT, folder / "bundle", chosen, transformer=transformer))


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> Bundle:
    folder = tmp_path_factory.mktemp("fp32")
    return exported(folder, TINY_UVIT, SCALED_LINEAR, target="cuda")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Bundle:
    folder = tmp_path_factory.mktemp("fp16")
    return exported(folder, TINY_UVIT, SCALED_LINEAR, target="cuda", precision="fp16")


@pytest.fixture(scope="module")
def tensorrt(tmp_path_factory) -> Bundle:
    folder = tmp_path_factory.mktemp("tensorrt")
    return exported(folder, TINY_DIT, LINEAR, target="tensorrt", precision="fp16")


def model(bundle: Bundle, name: str) -> onnx.ModelProto:
    return onnx.load(bundle.path / f"{name}.onnx")


def dtypes(graph: onnx.GraphProto) -> dict[str, int]:
    values = [*graph.value_info, *graph.input, *graph.output]
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


# ------------------------------------------------------------------------------------------- manifest


def test_the_manifest_names_the_precision_and_the_float32_blocks(mixed):
    for name, graph in mixed.manifest.graphs.items():
        assert graph.precision == "fp16"
        assert [block.block for block in graph.fp32_blocks] == FIXED[name]


def test_a_graph_in_float32_has_no_list(wide):
    assert all(graph.fp32_blocks is None for graph in wide.manifest.graphs.values())
    assert "fp32_blocks" not in (wide.path / "manifest.json").read_text()


def test_ports_are_those_of_the_same_export_in_float32(wide, mixed):
    for name, graph in mixed.manifest.graphs.items():
        same = wide.manifest.graphs[name]
        assert (graph.inputs, graph.outputs, graph.ranges) == (
            same.inputs,
            same.outputs,
            same.ranges,
        )


def test_parity_records_pytorchs_float16_the_whole_run_and_the_saved_file(mixed):
    runtimes = {
        name: [one.runtime.partition(" ")[0] for one in mixed.manifest.parity if one.graph == name]
        for name in FIXED
    }
    assert set(runtimes["encoder"]) == set(runtimes["decoder"]) == {"PyTorch", "ONNX"}
    runs = [one for one in mixed.manifest.parity if one.input.startswith("a run of dpmpp-2m:20")]
    assert [one.graph for one in runs] == ["transformer"]
    assert runs[0].cosine >= runs[0].tolerance.cosine == 0.99
    for one in mixed.manifest.parity:
        if one.graph == "decoder":
            assert one.psnr_db >= one.tolerance.psnr_db == 40


# --------------------------------------------------------------------------------------------- graphs


def test_weights_take_half_the_bytes(wide, mixed):
    def weights(name: str, bundle: Bundle) -> int:
        return sum(len(one.raw_data) for one in model(bundle, name).graph.initializer)

    # A tiny network's norms, ends and positions are a large share of it; they stay as they are.
    for name, blocks in FIXED.items():
        fixed = tuple(f"{block}.block." for block in blocks)
        heavy = [
            one
            for one in model(mixed, name).graph.initializer
            if len(one.dims) > 1 and not one.name.startswith(fixed) and len(one.raw_data) > 1024
        ]
        assert {one.data_type for one in heavy} <= {HALF, SINGLE}
        half = sum(len(one.raw_data) for one in heavy if one.data_type == HALF)
        assert half > 0.8 * sum(len(one.raw_data) for one in heavy)
        assert weights(name, mixed) < 0.8 * weights(name, wide)


def test_inputs_and_outputs_are_float32_and_islands_stand_behind_casts(mixed, tensorrt):
    for bundle in (mixed, tensorrt):
        for name in bundle.manifest.graphs:
            graph = model(bundle, name).graph
            types = dtypes(graph)
            assert {types[value.name] for value in graph.output} == {SINGLE}
            assert HALF not in {types[value.name] for value in graph.input}
            for node in graph.node:
                inputs = {types[value] for value in node.input if value}
                if node.op_type in {"Softmax", "Div", "ReduceMean", "ReduceSum", "Sin", "Cos"}:
                    assert inputs & {HALF, SINGLE} == {SINGLE}, node.name
                elif node.op_type in {"Conv", "MatMul", "Gemm", "Concat", "Add", "Mul"}:
                    # Nothing is widened without a Cast that says so.
                    assert len(inputs & {HALF, SINGLE}) <= 1, node.name


def test_the_last_layer_is_float32(mixed):
    for name in ("encoder", "decoder"):
        graph = model(mixed, name).graph
        types = dtypes(graph)
        last = [node for node in graph.node if node.op_type == "Conv"][-1]
        assert types[last.output[0]] == SINGLE
        assert types[last.input[1]] == SINGLE


def test_the_sums_of_the_linear_attention_are_float32(mixed):
    graph = model(mixed, "encoder").graph
    types = dtypes(graph)
    products = [node for node in graph.node if node.op_type == "MatMul"]
    assert len(products) == 3
    assert {types[node.output[0]] for node in products} == {SINGLE}


def test_the_graph_is_that_of_float32_and_casts(wide, mixed):
    """So that it keeps the form that runs channels last: DepthToSpace, and nothing of six dimensions."""
    for name in mixed.manifest.graphs:
        narrow, same = model(mixed, name), model(wide, name)
        more = count(narrow)
        casts = Counter(Cast=more["Cast"] - count(same)["Cast"])
        assert casts["Cast"] > 0
        assert more - casts == count(same)
        ranks = {len(one.type.tensor_type.shape.dim) for one in narrow.graph.value_info}
        assert max(ranks) <= 4


def test_pixels_are_shuffled_by_depth_to_space_in_float16(mixed):
    graph = model(mixed, "decoder").graph
    types = dtypes(graph)
    shuffles = [node for node in graph.node if node.op_type == "DepthToSpace"]
    assert [types[node.output[0]] for node in shuffles] == [HALF]
    assert not any(
        len(node.attribute[0].ints) > 4 for node in graph.node if node.op_type == "Transpose"
    )


def test_norms_of_target_cuda_are_operators_whose_sums_are_float32(mixed):
    norms = [node for node in model(mixed, "decoder").graph.node if "Normalization" in node.op_type]
    assert norms
    for node in norms:
        stash = {one.name: one.i for one in node.attribute}["stash_type"]
        assert stash == SINGLE


def test_a_gelu_of_several_operators_is_float32(tensorrt):
    graph = model(tensorrt, "transformer").graph
    types = dtypes(graph)
    tanhs = [node for node in graph.node if node.op_type in {"Tanh", "Pow"}]
    assert tanhs
    assert {types[node.output[0]] for node in tanhs} == {SINGLE}


def test_graphs_are_valid_and_equal_for_equal_exports(mixed, tmp_path):
    for name in mixed.manifest.graphs:
        onnx.checker.check_model(str(mixed.path / f"{name}.onnx"), full_check=True)
    again = exported(tmp_path, TINY_UVIT, SCALED_LINEAR, target="cuda", precision="fp16")
    first, second = files(mixed.path), files(again.path)
    del first["manifest.json"], second["manifest.json"]
    assert first == second


# --------------------------------------------------------------------------------------------- results


def test_the_golden_arrays_are_reproduced_within_the_bounds_of_float16(mixed):
    measured = {one.graph: one for one in measure(mixed, [Runtime.CPU, Runtime.REFERENCE])}
    assert measured["decoder"].tolerance is FP16_PICTURES
    assert measured["transformer"].tolerance is FP16_LATENTS
    assert all(one.passed for one in measured.values())
    assert all(one.difference.relative_l2 > 1e-5 for one in measured.values())


def golden(bundle: Bundle, name: str) -> Case:
    record = next(one for one in bundle.manifest.golden if one.graph == name)
    inputs, outputs = bundle.golden(record)
    return Case(name="golden", inputs=inputs, expected=next(iter(outputs.values())))


def test_a_bias_that_was_lost_from_the_saved_file_is_found(mixed, tmp_path):
    """Float16's own tolerance would let it pass: the copy in float32 is held to the module more closely."""
    case, saved = golden(mixed, "decoder"), mixed.check_graph("decoder")
    rounded = mixed_copy_output(saved, case)
    judge_mixed(saved, [case], [rounded])
    damaged = onnx.load(saved.path)
    bias = next(one for one in damaged.graph.initializer if one.name.endswith("conv1.bias"))
    values = onnx.numpy_helper.to_array(bias).copy()
    values[0] += np.float16(0.01)
    bias.raw_data = values.tobytes()
    path = tmp_path / "decoder.onnx"
    onnx.save(damaged, path)
    worse = type(saved)(model=path.read_bytes(), path=path, data=(), graph=saved.graph)
    image = Session(worse).run(case.inputs)["image"]
    assert np.linalg.norm(image - case.expected) < 0.01 * np.linalg.norm(case.expected)
    with pytest.raises(ParityError, match="not the module with its weights in float16"):
        judge_mixed(worse, [case], [rounded])


def mixed_copy_output(saved, case: Case) -> np.ndarray:
    outputs, _ = wide_copy(saved).run(case.inputs)
    return outputs["image"]


def test_without_calibration_the_gate_itself_refuses_what_overflows(tmp_path, monkeypatch):
    """The gate does not take the plan's word: here every block is float16, whatever it reaches."""
    state = dict(CHECKPOINT.state)
    loud = [name for name in state if name.startswith("decoder") and "inverted_conv" in name]
    quiet = [name for name in state if name.startswith("decoder") and "point_conv" in name]
    for name in loud:
        state[name] = state[name] * 2.0**9
    for name in quiet:
        state[name] = state[name] * 2.0**-9
    checkpoint = type(CHECKPOINT)(
        **{name: getattr(CHECKPOINT, name) for name in CHECKPOINT.__dataclass_fields__}
        | {"state": state}
    )
    monkeypatch.setattr(mixed_precision, "CALIBRATED_MAX", float("inf"))
    monkeypatch.setattr(mixed_precision, "_judge", lambda *_, **__: [])
    options = ExportOptions(target="cuda", precision="fp16", simplifier="none")
    with pytest.raises(ParityError, match=r"decoder\.onnx: (Mul|Conv|Sigmoid) at \S+ reaches"):
        export(checkpoint, tmp_path / "bundle", options)
    assert not (tmp_path / "bundle").exists()
