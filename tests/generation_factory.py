"""Bundles of a few kilobytes that generate: the decoder of ``bundle_factory`` and a transformer written by hand."""

from pathlib import Path

import numpy as np
import onnx
from bundle_factory import CHANNELS, MODEL_ID, OPSET, stage_tiny_files, tiny_manifest
from onnx import TensorProto, helper, numpy_helper

from dcae_export.bundle.manifest import (
    AxisRange,
    Conditioning,
    Diffusion,
    Graph,
    Manifest,
    Port,
    Samplers,
    SamplerTable,
    TransformerModel,
)
from dcae_export.bundle.writer import BundleWriter
from dcae_export.sampling import schedule
from dcae_export.sampling.solvers import make_table

GRID = (2, 3)
NUM_CLASSES = 5
FEATURES = 6
DTYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}


def write_generating_bundle(
    path: Path,
    diffusion: schedule.Diffusion,
    *samplers: str,
    num_classes: int | None = NUM_CLASSES,
    features: bool = False,
) -> Path:
    """Write a tiny bundle that generates on any grid.

    ``features`` makes its transformer take features of the time in place of the time.
    """
    ports = transformer_ports(diffusion, num_classes=num_classes, features=features)
    with BundleWriter(path) as writer:
        stage_tiny_files(writer.staging)
        model = transformer_model(ports, diffusion, num_classes=num_classes)
        (writer.staging / "transformer.onnx").write_bytes(model.SerializeToString())
        tables = {
            name: SamplerTable.of(
                make_table(name, diffusion),
                time_features=f"samplers/{name.replace(':', '-')}.npy" if features else None,
            )
            for name in samplers
        }
        for table in tables.values():
            if table.time_features is not None:
                (writer.staging / "samplers").mkdir(exist_ok=True)
                np.save(writer.staging / table.time_features, time_features(table))
        base = tiny_manifest(writer.file_records())
        return writer.commit(_manifest(base, ports, diffusion, tables, num_classes))


def fix_sizes(graph: dict, *, rows: int) -> None:
    """Make a graph of a manifest one of the default grid and a fixed batch."""
    fixed = {"batch": rows, "height": GRID[0], "width": GRID[1]}
    fixed |= {"2*height": 2 * GRID[0], "2*width": 2 * GRID[1]}
    for port in (*graph["inputs"], *graph["outputs"]):
        port["shape"] = [fixed.get(dim, dim) for dim in port["shape"]]
    graph.update(ranges={})


def time_features(table: SamplerTable) -> np.ndarray:
    """Features whose mean is the time, (rows, FEATURES)."""
    times = np.array([[row.t] for row in table.rows])
    return (times * np.linspace(0.5, 1.5, FEATURES)).astype(np.float32)


def transformer_ports(
    diffusion: schedule.Diffusion, *, num_classes: int | None, features: bool
) -> tuple[Port, ...]:
    """The inputs in their order, then the output."""
    sides = ("height", "width")
    made = CHANNELS * (2 if diffusion.learned_variance else 1)
    time = (
        Port(name="time_features", dtype="float32", shape=("batch", FEATURES))
        if features
        else Port(name="timestep", dtype="float32", shape=("batch",))
    )
    label = Port(name="label", dtype="int64", shape=("batch",))
    return (
        Port(name="latent", dtype="float32", shape=("batch", CHANNELS, *sides)),
        time,
        *(() if num_classes is None else (label,)),
        Port(name="output", dtype="float32", shape=("batch", made, *sides)),
    )


def transformer_model(
    ports: tuple[Port, ...], diffusion: schedule.Diffusion, *, num_classes: int | None
) -> onnx.ModelProto:
    """latent / 2 + time / 1000, plus the label's row of a table; a variance is the same again."""
    constants = {
        "half": np.float32(0.5),
        "thousandth": np.float32(1e-3),
        "first": np.array([1]),
        "plane": np.array([2, 3]),
        "position": np.array([1, 2, 3]),
    }
    nodes = [
        helper.make_node("ReduceMean", ["time_features", "first"], ["column"], keepdims=1),
        helper.make_node("Unsqueeze", ["column", "plane"], ["time"]),
    ]
    if ports[1].name == "timestep":
        nodes = [helper.make_node("Unsqueeze", ["timestep", "position"], ["time"])]
    nodes += [
        helper.make_node("Mul", ["latent", "half"], ["halved"]),
        helper.make_node("Mul", ["time", "thousandth"], ["small"]),
        helper.make_node("Add", ["halved", "small"], ["moved"]),
    ]
    made = "moved"
    if num_classes is not None:
        # One row more than there are classes: that of the null label.
        rng = np.random.default_rng(0)
        table = rng.standard_normal((num_classes + 1, CHANNELS), dtype=np.float32)
        constants["table"] = table
        nodes += [
            helper.make_node("Gather", ["table", "label"], ["row"]),
            helper.make_node("Unsqueeze", ["row", "plane"], ["named"]),
            helper.make_node("Add", ["moved", "named"], ["sum"]),
        ]
        made = "sum"
    halves = 2 if diffusion.learned_variance else 1
    nodes.append(helper.make_node("Concat", [made] * halves, ["output"], axis=1))
    used = {name for node in nodes for name in node.input}
    values = [
        helper.make_tensor_value_info(port.name, DTYPES[port.dtype], list(port.shape))
        for port in ports
    ]
    graph = helper.make_graph(
        nodes,
        "transformer",
        values[:-1],
        values[-1:],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in constants.items()
            if name in used
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    helper.set_model_props(model, {"dcae.model_id": MODEL_ID, "dcae.format_version": "1"})
    return model


def _manifest(
    base: Manifest,
    ports: tuple[Port, ...],
    diffusion: schedule.Diffusion,
    tables: dict[str, SamplerTable],
    num_classes: int | None,
) -> Manifest:
    transformer = Graph(
        path="transformer.onnx",
        data=(),
        target="generic",
        precision="fp32",
        opset=OPSET,
        activation_bytes=4 * 4 * CHANNELS,
        attention_bytes=0,
        inputs=ports[:-1],
        outputs=ports[-1:],
        ranges={name: AxisRange(min=1, max=16) for name in ("batch", "height", "width")},
    )
    weights = TransformerModel(preset="tiny", weights="none", weights_sha256="1" * 64, licence=None)
    return base.model_copy(
        update={
            "model": base.model.model_copy(update={"transformer": weights}),
            "diffusion": Diffusion.of(diffusion, grid=GRID),
            "conditioning": Conditioning(
                kind="none" if num_classes is None else "class",
                num_classes=num_classes,
                null_label=num_classes,
                class_names=None
                if num_classes is None
                else tuple(f"class {number}, word {number}" for number in range(num_classes)),
            ),
            "graphs": {**base.graphs, "transformer": transformer},
            "samplers": Samplers(tables=tables, default=next(iter(tables)), default_guidance=1.5),
            "noise": "philox4x32-10-v1",
        }
    )
