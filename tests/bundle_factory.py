"""Bundles of a few kilobytes, and the hands to damage them."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dcae_export.bundle.manifest import (
    AxisRange,
    File,
    Golden,
    Graph,
    ImageFormat,
    Latent,
    Manifest,
    Model,
    Port,
    Producer,
)
from dcae_export.bundle.writer import BundleWriter

MODEL_ID = "ab" * 32
OPSET = 18
CHANNELS = 4
FACTOR = 2
PAGE = 4096


def tiny_model(weight: np.ndarray) -> onnx.ModelProto:
    """A decoder: Conv with external weights, then DepthToSpace; weights at the data file's second page."""
    kernel = numpy_helper.from_array(weight, "kernel")
    kernel.ClearField("raw_data")
    place_outside(kernel, offset=PAGE, length=weight.nbytes)
    nodes = [
        helper.make_node("Conv", ["latent", "kernel"], ["features"]),
        helper.make_node("DepthToSpace", ["features"], ["image"], blocksize=FACTOR, mode="CRD"),
    ]
    graph = helper.make_graph(
        nodes,
        "decoder",
        [
            helper.make_tensor_value_info(
                "latent", TensorProto.FLOAT, ["batch", CHANNELS, "height", "width"]
            )
        ],
        [
            helper.make_tensor_value_info(
                "image", TensorProto.FLOAT, ["batch", 3, "2*height", "2*width"]
            )
        ],
        [kernel],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    helper.set_model_props(model, {"dcae.model_id": MODEL_ID, "dcae.format_version": "1"})
    return model


def place_outside(
    tensor: TensorProto, location: str = "decoder.onnx.data", **sizes: int
) -> TensorProto:
    """Make a tensor's bytes external."""
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in {"location": location, **sizes}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def tensor_outside(location: str) -> TensorProto:
    """A tensor whose bytes are external."""
    return place_outside(TensorProto(name="weight", data_type=TensorProto.FLOAT), location)


def tiny_manifest(files: dict[str, File]) -> Manifest:
    """The manifest of a tiny bundle with these files."""
    ports = {
        "latent": Port(
            name="latent", dtype="float32", shape=("batch", CHANNELS, "height", "width")
        ),
        "image": Port(name="image", dtype="float32", shape=("batch", 3, "2*height", "2*width")),
    }
    return Manifest(
        format_version=1,
        producer=Producer(package="0", torch="0", onnx="0", time="2026-01-31T12:00:00Z"),
        model=Model(
            preset="tiny",
            id=MODEL_ID,
            weights="none",
            weights_sha256="0" * 64,
            licence=None,
            transformer=None,
        ),
        image=ImageFormat(channels=3, dtype="float32", layout="NCHW", range=(-1.0, 1.0)),
        latent=Latent(channels=CHANNELS, downsample=FACTOR, scaling_factor=0.5, shift=0.0),
        diffusion=None,
        conditioning=None,
        graphs={
            "decoder": Graph(
                path="decoder.onnx",
                data=("decoder.onnx.data",),
                target="generic",
                precision="fp32",
                opset=OPSET,
                activation_bytes=4 * (2 * 3 * FACTOR**2),  # features and image
                attention_bytes=0,
                inputs=(ports["latent"],),
                outputs=(ports["image"],),
                ranges={name: AxisRange(min=1, max=8) for name in ("batch", "height", "width")},
            )
        },
        samplers=None,
        noise=None,
        golden=(
            Golden(
                graph="decoder",
                inputs={"latent": "golden/latent.npy"},
                outputs={"image": "golden/image.npy"},
            ),
        ),
        simplification=(),
        parity=(),
        files=files,
    )


def stage_tiny_files(staging: Path, *, seed: int = 0) -> None:
    """Write a tiny bundle's files, all but the manifest."""
    random = np.random.default_rng(seed)
    weight = random.standard_normal((3 * FACTOR**2, CHANNELS, 1, 1), dtype=np.float32)
    latent = random.standard_normal((1, CHANNELS, 2, 2), dtype=np.float32)
    features = np.einsum("oc,bchw->bohw", weight[:, :, 0, 0], latent)
    image = features.reshape(1, 3, FACTOR, FACTOR, 2, 2).transpose(0, 1, 4, 2, 5, 3)
    (staging / "decoder.onnx").write_bytes(tiny_model(weight).SerializeToString())
    (staging / "decoder.onnx.data").write_bytes(bytes(PAGE) + weight.tobytes())
    (staging / "golden").mkdir()
    np.save(staging / "golden" / "latent.npy", latent)
    np.save(staging / "golden" / "image.npy", np.ascontiguousarray(image).reshape(1, 3, 4, 4))


def write_tiny_bundle(path: Path, *, seed: int = 0, force: bool = False) -> Path:
    """Write a tiny bundle; another seed gives other weights."""
    with BundleWriter(path, force=force) as writer:
        stage_tiny_files(writer.staging, seed=seed)
        return writer.commit(tiny_manifest(writer.file_records()))


def edit_manifest(bundle: Path, edit: Callable[[dict], object]) -> None:
    """Change a bundle's manifest in place."""
    path = bundle / "manifest.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def replace_file(bundle: Path, name: str, data: bytes) -> None:
    """Replace a file's bytes and list them, as someone who wants the file to be taken for good would."""
    (bundle / name).write_bytes(data)
    record = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    edit_manifest(bundle, lambda content: content["files"].update({name: record}))


def edit_model(bundle: Path, edit: Callable[[onnx.ModelProto], object]) -> None:
    """Change a bundle's decoder graph in place, and list it."""
    model = onnx.load(bundle / "decoder.onnx", load_external_data=False)
    edit(model)
    replace_file(bundle, "decoder.onnx", model.SerializeToString())
