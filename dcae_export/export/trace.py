"""Trace a module into an ONNX graph with named axes."""

import contextlib
import logging
import warnings
from collections.abc import Generator
from dataclasses import dataclass

import onnx_ir as ir
import torch
from torch import Tensor, nn

from dcae_export.bundle.manifest import Port
from dcae_export.errors import ExportError
from dcae_export.export.rewrite import rewrite_graph
from dcae_export.export.target import Target


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """A graph's inputs, in the order of the module's arguments, and its one output."""

    inputs: tuple[Port, ...]
    output: Port


def trace(
    module: nn.Module, example: tuple[Tensor, ...], signature: Signature, *, target: Target
) -> ir.Model:
    """Trace ``module`` on ``example``; every named axis of the signature stays open.

    Raises:
        ExportError: torch could not trace it, or wrote another opset than the target's.
    """
    axes = {name: torch.export.Dim(name) for name in ("batch", "height", "width")}
    dynamic = tuple(
        {
            place: _dimension(dim, axes)
            for place, dim in enumerate(port.shape)
            if isinstance(dim, str)
        }
        for port in signature.inputs
    )
    with _quiet():
        try:
            program = torch.onnx.export(  # pyright: ignore[reportUnknownMemberType]
                module,
                example,
                dynamo=True,
                opset_version=target.opset,
                dynamic_shapes=dynamic if any(dynamic) else None,
                input_names=[port.name for port in signature.inputs],
                output_names=[signature.output.name],
                verbose=False,
            )
        except Exception as error:
            raise ExportError(f"torch could not trace the module: {error}") from error
    assert program is not None
    model = program.model
    rewrite_graph(model)
    _name(model, signature)
    if model.opset_imports != {"": target.opset}:
        raise ExportError(
            f"torch wrote opset {dict(model.opset_imports)}, the target needs {target.opset}"
        )
    return model


def _dimension(dim: str, axes: dict[str, torch.export.Dim]) -> object:
    factor, star, name = dim.partition("*")
    return int(factor) * axes[name] if star else axes[factor]  # type: ignore[operator]


def _name(model: ir.Model, signature: Signature) -> None:
    """Write the signature's shapes on the graph, and nothing that depends on this machine."""
    values = (*model.graph.inputs, *model.graph.outputs)
    for value, port in zip(values, (*signature.inputs, signature.output), strict=True):
        value.shape = ir.Shape(list(port.shape))
    model.graph.name = "dcae"
    model.producer_name, model.producer_version = "dcae-export", None


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Keep torch's notes to its own developers (torchvision, deprecations) off the terminal."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
