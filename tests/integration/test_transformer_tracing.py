"""Transformers as torch's exporter writes them: open axes stay open, and nothing has five dimensions."""

import dataclasses
import logging
import warnings

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from small_transformers import SMALL_DIT, SMALL_UVIT, random_transformer, transformer_inputs

from dcae_export.bundle.graph_file import ALLOWED_OPERATORS
from dcae_export.export.structure import check_structure
from dcae_export.models.dit import DiT
from dcae_export.models.uvit import UViT
from dcae_export.parity import FP32, difference

pytestmark = pytest.mark.integration

NAMES = ("latent", "timestep", "label")


def export(
    network: DiT | UViT, axes: dict[int, object], *, grid: tuple[int, int] | None = None
) -> ir.Model:
    """The graph, with the batch and ``axes`` of the latent open."""
    batch = torch.export.Dim("batch")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            transformer_inputs(network.config, grid=grid),
            dynamo=True,
            opset_version=18,
            dynamic_shapes=({0: batch} | axes, {0: batch}, {0: batch}),
            input_names=NAMES,
            output_names=["prediction"],
            verbose=False,
        )
    return program.model


def run(model: ir.Model, *inputs: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString())
    feeds = {name: value.numpy() for name, value in zip(NAMES, inputs, strict=True)}
    return session.run(None, feeds)[0]


def check(model: ir.Model, network: DiT | UViT, *, grid: tuple[int, int] | None, batch: int):
    inputs = transformer_inputs(network.config, grid=grid, batch=batch)
    with torch.inference_mode():
        expected = network(*inputs).numpy()
    found = difference(run(model, *inputs), expected)
    assert found.within(FP32), f"{grid}: {found}"


def check_form(model: ir.Model) -> None:
    check_structure(model, name="transformer")
    assert {node.op_type for node in model.graph} <= ALLOWED_OPERATORS


@pytest.fixture(scope="module", params=[1, 2], ids=["patch 1", "patch 2"])
def dit(request) -> tuple[DiT, ir.Model]:
    patch = request.param
    network = random_transformer(dataclasses.replace(SMALL_DIT, patch=patch))
    height, width = torch.export.Dim("height"), torch.export.Dim("width")
    return network, export(network, {2: patch * height, 3: patch * width}, grid=(6, 10))


@pytest.mark.parametrize("grid", [(8, 8), (6, 10), (2, 4), (14, 2)])
def test_one_graph_of_dit_serves_every_grid(dit, grid):
    network, model = dit
    for batch in (1, 3):
        check(model, network, grid=grid, batch=batch)


def test_a_graph_of_dit_has_the_form_that_bundles_take(dit):
    check_form(dit[1])


def test_a_graph_of_uvit_serves_its_grid_at_every_batch():
    network = random_transformer(SMALL_UVIT)
    model = export(network, {})
    check_form(model)
    for batch in (1, 3):
        check(model, network, grid=None, batch=batch)
