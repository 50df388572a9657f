"""Pictures in, pictures out: with graphs that lose nothing, so that every pixel can be checked."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from bundle_factory import (
    FACTOR,
    MODEL_ID,
    OPSET,
    edit_manifest,
    tiny_manifest,
    write_tiny_bundle,
)
from onnx import TensorProto, helper, numpy_helper

import dcae_export
from dcae_export.bundle.manifest import AxisRange, Graph, ImageFormat, Manifest, Port
from dcae_export.bundle.writer import BundleWriter
from dcae_export.errors import BundleError, RefusedError, UsageError
from dcae_export.runtime import autoencoder as autoencoder_module
from dcae_export.runtime.autoencoder import Autoencoder
from dcae_export.runtime.fit import Fit

CHANNELS = 3 * FACTOR**2
THREADS = 8

IMAGE = Port(name="image", dtype="float32", shape=("batch", 3, "2*height", "2*width"))
LEVELS = Port(name="image", dtype="uint8", shape=("batch", "2*height", "2*width", 3))
LATENT = Port(name="latent", dtype="float32", shape=("batch", CHANNELS, "height", "width"))


def lossless_graphs(*, image_io: bool) -> dict[str, list]:
    """Each pixel of a 2x2 block becomes three channels of the latent, and back.

    The encoder is a convolution of identities; its channel order is the one that DepthToSpace reverts.
    """
    to_float = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["pixels"], to=TensorProto.FLOAT),
    ]
    to_levels = [
        helper.make_node("Cast", ["pixels"], ["planes"], to=TensorProto.UINT8),
        helper.make_node("Transpose", ["planes"], ["image"], perm=[0, 2, 3, 1]),
    ]
    pixels = "pixels" if image_io else "image"
    split = helper.make_node("Conv", [pixels, "kernel"], ["latent"], strides=[FACTOR, FACTOR])
    join = helper.make_node(
        "DepthToSpace", ["latent"], [pixels], blocksize=FACTOR, mode="CRD", name="join"
    )
    return {
        "encoder": [*(to_float if image_io else []), split],
        "decoder": [join, *(to_levels if image_io else [])],
    }


def kernel() -> np.ndarray:
    weight = np.zeros((CHANNELS, 3, FACTOR, FACTOR), np.float32)
    for channel in range(CHANNELS):
        colour, row, column = np.unravel_index(channel, (3, FACTOR, FACTOR))
        weight[channel, colour, row, column] = 1
    return weight


def write_lossless_bundle(folder: Path, *, image_io: bool = False) -> Path:
    image = LEVELS if image_io else IMAGE
    ports = {"encoder": (image, LATENT), "decoder": (LATENT, image)}
    with BundleWriter(folder) as writer:
        for name, nodes in lossless_graphs(image_io=image_io).items():
            values = [_value(port) for port in ports[name]]
            weights = [numpy_helper.from_array(kernel(), "kernel")] if name == "encoder" else []
            graph = helper.make_graph(nodes, name, values[:1], values[1:], weights)
            opsets = [helper.make_opsetid("", OPSET)]
            model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
            properties = {"dcae.model_id": MODEL_ID, "dcae.format_version": "1"}
            helper.set_model_props(model, properties)
            (writer.staging / f"{name}.onnx").write_bytes(model.SerializeToString())
        return writer.commit(_manifest(writer, ports, image_io=image_io))


def _value(port: Port):
    kind = TensorProto.UINT8 if port.dtype == "uint8" else TensorProto.FLOAT
    return helper.make_tensor_value_info(port.name, kind, list(port.shape))


def _manifest(writer: BundleWriter, ports: dict, *, image_io: bool) -> Manifest:
    files = writer.file_records()
    graphs = {
        name: Graph(
            path=f"{name}.onnx",
            data=(),
            target="generic",
            precision="fp32",
            opset=OPSET,
            activation_bytes=4 * 2 * CHANNELS,
            attention_bytes=0,
            inputs=(source,),
            outputs=(result,),
            ranges={axis: AxisRange(min=1, max=64) for axis in ("batch", "height", "width")},
        )
        for name, (source, result) in ports.items()
    }
    listed = ("golden/latent.npy", "golden/image.npy", "decoder.onnx", "decoder.onnx.data")
    base = tiny_manifest(dict.fromkeys(listed, files["encoder.onnx"]))
    image = (
        ImageFormat(channels=3, dtype="uint8", layout="NHWC", range=(0, 255))
        if image_io
        else ImageFormat(channels=3, dtype="float32", layout="NCHW", range=(-1, 1))
    )
    return base.model_copy(
        update={
            "image": image,
            "latent": base.latent.model_copy(update={"channels": CHANNELS}),
            "graphs": graphs,
            "golden": (),
            "files": files,
        }
    )


def picture(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(scope="module", params=[False, True], ids=["float32 NCHW", "uint8 NHWC"])
def autoencoder(request, tmp_path_factory) -> Autoencoder:
    folder = tmp_path_factory.mktemp("autoencoder") / "bundle"
    return Autoencoder.open(write_lossless_bundle(folder, image_io=request.param))


def test_it_is_the_packages_own_autoencoder():
    assert dcae_export.Autoencoder is Autoencoder


def test_a_batch_is_encoded_and_decoded_to_its_own_pixels(autoencoder):
    images = picture(2, 4, 6, 3)
    latent = autoencoder.encode(images)
    assert (latent.shape, latent.dtype) == ((2, CHANNELS, 2, 3), np.float32)
    np.testing.assert_array_equal(autoencoder.decode(latent), images)


def test_one_picture_is_a_batch_of_one(autoencoder):
    image = picture(4, 6, 3)
    np.testing.assert_array_equal(autoencoder.encode(image), autoencoder.encode(image[None]))


def test_each_picture_of_a_batch_equals_the_picture_alone(autoencoder):
    images = picture(3, 4, 2, 3)
    latent = autoencoder.encode(images)
    for index, image in enumerate(images):
        np.testing.assert_array_equal(latent[index : index + 1], autoencoder.encode(image))


@pytest.mark.parametrize("size", [(4, 6), (5, 6), (4, 7), (3, 5), (1, 1)])
def test_a_picture_of_any_size_comes_back_in_its_size(autoencoder, size):
    images = picture(2, *size, 3)
    np.testing.assert_array_equal(autoencoder.reconstruct(images), images)


def test_a_picture_can_be_cropped_to_a_multiple_of_the_factor(autoencoder):
    result = autoencoder.reconstruct(picture(5, 7, 3), mode=Fit.CROP)
    assert result.shape == (1, 4, 6, 3)


@pytest.mark.parametrize("size", [(5, 6), (4, 7)])
def test_encoding_a_size_that_is_no_multiple_of_the_factor_is_refused(autoencoder, size):
    with pytest.raises(UsageError, match=f"{size[1]}x{size[0]} is no multiple of {FACTOR}"):
        autoencoder.encode(picture(*size, 3))


@pytest.mark.parametrize("image_io", [False, True], ids=["float32 NCHW", "uint8 NHWC"])
def test_a_bundle_of_one_size_names_it_for_a_picture_of_another(tmp_path, image_io):
    bundle = write_lossless_bundle(tmp_path / "bundle", image_io=image_io)
    fix_size(bundle, rows=2, grid=(2, 3))
    autoencoder = Autoencoder.open(bundle)
    message = r"^7x3: this bundle takes pictures of 6x4 alone; .* export a bundle without --size$"
    with pytest.raises(UsageError, match=message):
        autoencoder.reconstruct(picture(3, 7, 3))
    with pytest.raises(UsageError, match=r"^8x4: this bundle takes pictures of 6x4 alone"):
        autoencoder.encode(picture(4, 8, 3))
    with pytest.raises(UsageError, match=r"^cat\.png: 7x3: this bundle takes"):
        autoencoder.check_size((3, 7), mode=Fit.RESIZE, name="cat.png")
    # Another way to fit it makes it the size.
    autoencoder.check_size((5, 7), mode=Fit.CROP)


def test_a_side_out_of_range_names_the_sizes_that_a_bundle_takes(autoencoder):
    message = r"^130x2: this bundle takes pictures from 2x2 to 128x128; scale or crop it to one$"
    with pytest.raises(UsageError, match=message):
        autoencoder.encode(picture(2, 130, 3))


def test_a_graph_of_a_fixed_batch_takes_fewer_pictures(tmp_path):
    bundle = write_lossless_bundle(tmp_path / "bundle")
    fix_size(bundle, rows=2, grid=(2, 3))
    autoencoder = Autoencoder.open(bundle)
    image = picture(4, 6, 3)
    latent = autoencoder.encode(image)
    assert latent.shape == (1, CHANNELS, 2, 3)
    np.testing.assert_array_equal(autoencoder.decode(latent), image[None])


def fix_size(bundle: Path, *, rows: int, grid: tuple[int, int]) -> None:
    """Make the manifest one of graphs with a fixed batch and size."""
    sizes = {"batch": rows, "height": grid[0], "width": grid[1]}

    def fixed(dim: int | str) -> int:
        if isinstance(dim, int):
            return dim
        factor, _, axis = dim.rpartition("*")
        return int(factor or 1) * sizes[axis]

    def edit(manifest: dict) -> None:
        for graph in manifest["graphs"].values():
            graph["ranges"] = {}
            for port in (*graph["inputs"], *graph["outputs"]):
                port["shape"] = [fixed(dim) for dim in port["shape"]]

    edit_manifest(bundle, edit)


NO_PICTURES = {
    "floats": np.zeros((4, 6, 3), np.float32),
    "grey": picture(4, 6),
    "alpha": picture(4, 6, 4),
    "channels first": picture(3, 4, 6),
    "five dimensions": picture(1, 1, 4, 6, 3),
}


@pytest.mark.parametrize("image", NO_PICTURES.values(), ids=NO_PICTURES)
def test_what_is_no_picture_is_refused(autoencoder, image):
    for call in (autoencoder.encode, autoencoder.reconstruct):
        with pytest.raises(UsageError, match="a picture is uint8"):
            call(image)


def test_a_latent_of_other_channels_is_refused(autoencoder):
    with pytest.raises(UsageError, match="latent has shape"):
        autoencoder.decode(np.zeros((1, 4, 2, 2), np.float32))


def test_the_factor_is_the_latents_downsampling(autoencoder):
    assert autoencoder.downsample == FACTOR


def test_eight_threads_share_one_autoencoder(autoencoder):
    images = [picture(1 + seed % 3, 2 + seed % 7, 4, 3, seed=seed) for seed in range(32)]
    with ThreadPoolExecutor(THREADS) as pool:
        for image, result in zip(images, pool.map(autoencoder.reconstruct, images), strict=True):
            np.testing.assert_array_equal(result, image)


# --------------------------------------------------------------------------------- sessions


class FakeSession:
    """Counts itself, and gives back zeros after a moment in which other threads may come by."""

    opened: list[str]

    def __init__(self, files, **_: object) -> None:
        threading.Event().wait(0.01)
        self.opened.append(files.path.name)
        self.graph = files.graph
        self._output = files.graph.outputs[0]

    def takes(self, axes) -> bool:
        return True

    def run(self, inputs):
        (array,) = inputs.values()
        batch = len(array)
        sides = (1, 1) if self._output.name == "latent" else (FACTOR, FACTOR)
        channels = CHANNELS if self._output.name == "latent" else 3
        return {self._output.name: np.zeros((batch, channels, *sides), np.float32)}


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(FakeSession, "opened", names, raising=False)
    monkeypatch.setattr(autoencoder_module, "Session", FakeSession)
    return names


def test_a_session_is_opened_when_it_is_first_used_and_once(tmp_path, opened):
    lazy = Autoencoder.open(write_lossless_bundle(tmp_path / "bundle"))
    assert opened == []
    lazy.decode(np.zeros((1, CHANNELS, 1, 1), np.float32))
    assert opened == ["decoder.onnx"]
    lazy.reconstruct(picture(2, 2, 3))
    lazy.reconstruct(picture(2, 2, 3))
    assert opened == ["decoder.onnx", "encoder.onnx"]


def test_threads_that_come_at_once_open_one_session(tmp_path, opened):
    lazy = Autoencoder.open(write_lossless_bundle(tmp_path / "bundle"))
    latent = np.zeros((1, CHANNELS, 1, 1), np.float32)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lazy.decode, [latent] * THREADS))
    assert opened == ["decoder.onnx"]


def test_a_closed_autoencoder_opens_its_sessions_again(tmp_path, opened):
    lazy = Autoencoder.open(write_lossless_bundle(tmp_path / "bundle"))
    latent = np.zeros((1, CHANNELS, 1, 1), np.float32)
    lazy.decode(latent)
    lazy.close()
    lazy.decode(latent)
    assert opened == ["decoder.onnx", "decoder.onnx"]


# --------------------------------------------------------------------------------- bundles


def test_a_bundle_without_an_encoder_decodes_and_says_what_it_lacks(tmp_path):
    half = Autoencoder.open(write_tiny_bundle(tmp_path / "bundle"))
    assert half.decode(np.zeros((1, 4, 1, 1), np.float32)).shape == (1, 2, 2, 3)
    with pytest.raises(BundleError, match="no encoder in this bundle"):
        half.encode(picture(2, 2, 3))


def test_a_graph_that_was_changed_is_refused_when_it_is_first_used(tmp_path):
    path = write_lossless_bundle(tmp_path / "bundle")
    model = (path / "decoder.onnx").read_bytes()
    (path / "decoder.onnx").write_bytes(model.replace(b"CRD", b"DCR"))
    changed = Autoencoder.open(path)
    with pytest.raises(RefusedError, match=r"decoder\.onnx: sha256 differs"):
        changed.decode(np.zeros((1, CHANNELS, 1, 1), np.float32))


def test_hashes_can_be_left_unchecked(tmp_path):
    path = write_lossless_bundle(tmp_path / "bundle")
    model = (path / "decoder.onnx").read_bytes()
    (path / "decoder.onnx").write_bytes(model.replace(b"CRD", b"DCR"))
    unchecked = Autoencoder.open(path, verify_hashes=False)
    assert unchecked.decode(np.zeros((1, CHANNELS, 1, 1), np.float32)).shape == (1, 2, 2, 3)


def test_no_bundle_is_an_error(tmp_path):
    with pytest.raises(BundleError, match="no such folder"):
        Autoencoder.open(tmp_path / "nothing")
