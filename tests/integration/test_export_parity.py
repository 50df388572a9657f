"""Exported graphs against PyTorch, OpenVINO and the reference evaluator, and what is in them."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from autoencoders import DC_AE, random_input, shrink, small_checkpoint
from export_factory import TINY, photographs, run
from exported_bundles import Exported, count, exported_once
from torch import nn

from dcae_export.bundle.manifest import Port
from dcae_export.bundle.reader import Bundle
from dcae_export.errors import ExportError, UsageError
from dcae_export.evaluation.parity_matrix import Runtime, measure
from dcae_export.export.options import ExportOptions
from dcae_export.export.rewrite import rewrite_module
from dcae_export.export.structure import check_structure
from dcae_export.export.target import TARGETS
from dcae_export.export.trace import Signature, trace
from dcae_export.models import autoencoder as networks
from dcae_export.models.attention import LinearAttention
from dcae_export.models.autoencoder import (
    Activation,
    AttentionStage,
    AutoencoderConfig,
    Downsampling,
    Norm,
    ResStage,
    Upsampling,
)
from dcae_export.models.layers import ConvPixelUnshuffle
from dcae_export.models.presets import PRESETS
from dcae_export.parity import FP32, UINT8, difference
from dcae_export.pictures.pixels import to_tensor, to_uint8
from dcae_export.runtime.autoencoder import Autoencoder

pytestmark = pytest.mark.integration

# The presets that are one graph: "in" and "mix", 1.0 and 1.1 differ in weights and the scaling factor.
GRAPHS = {
    (config.encoder, config.decoder, config.latent_channels): name
    for name, config in reversed([(name, PRESETS[name].config) for name in DC_AE])
}
ARCHITECTURES = sorted(GRAPHS.values())
# What blocks of one stage share is seen in one architecture of each kind of attention.
TWO_BLOCKS = {"dc-ae-f32c32-in-1.0", "dc-ae-f32c32-sana-1.0"}
STATIC = ["dc-ae-f32c32-in-1.0", "dc-ae-f32c32-sana-1.0", "dc-ae-f64c128-1.5"]

# (height, width) on the latent grid; 1x1 is the smallest that a bundle promises.
GRIDS = [(1, 1), (2, 2), (3, 1)]
STATIC_GRID = (1, 2)

RUNTIMES = [Runtime.OPENVINO, Runtime.REFERENCE]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """PyTorch and ONNX Runtime in turn: threads that wait for more work would hold up the other's."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def export_small(folder: Path, config: AutoencoderConfig, options: ExportOptions) -> Exported:
    return exported_once(folder, small_checkpoint(config, seed=1), options)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def dynamic(request, tmp_path_factory) -> Exported:
    depth = 2 if request.param in TWO_BLOCKS else 1
    config = shrink(PRESETS[request.param].config, depth=depth)
    return export_small(tmp_path_factory.mktemp("dynamic"), config, ExportOptions())


@pytest.fixture(scope="module", params=STATIC)
def static(request, tmp_path_factory) -> Exported:
    config = shrink(PRESETS[request.param].config, depth=1)
    height, width = (side * config.downsample for side in STATIC_GRID)
    options = ExportOptions(size=(height, width), batch=2)
    return export_small(tmp_path_factory.mktemp("static"), config, options)


# Every target but generic, which all other bundles here are, and every option once.
VARIANTS = {
    "cpu, onnxslim": ExportOptions(target="cpu", simplifier="onnxslim"),
    "cuda, image io": ExportOptions(target="cuda", image_io=True, simplifier="none"),
    "tensorrt, single file": ExportOptions(target="tensorrt", single_file=True, simplifier="none"),
    "web, no simplifier": ExportOptions(target="web", simplifier="none"),
}

# Larger than each tensor of the tiny network, smaller than all of them.
SHARD_BYTES = 80_000


@pytest.fixture(scope="module", params=VARIANTS.values(), ids=VARIANTS)
def variant(request, tmp_path_factory) -> tuple[ExportOptions, Exported]:
    with pytest.MonkeyPatch.context() as patch:
        # As for a network of full size: weights outside the .onnx, unless asked for inside.
        patch.setattr("dcae_export.export.save.EXTERNAL_FROM_BYTES", 0)
        patch.setattr("dcae_export.export.save.INLINE_BYTES", 2**10)
        patch.setattr("dcae_export.export.save.WEB_SHARD_BYTES", SHARD_BYTES)
        folder = tmp_path_factory.mktemp("variant")
        return request.param, export_small(folder, TINY, request.param)


# ---------------------------------------------------------------------------------------------- parity


def inputs(
    config: AutoencoderConfig, grids: list[tuple[int, int]], batches: tuple[int, ...]
) -> Iterator[tuple[str, np.ndarray]]:
    """Pictures of every size and batch: photographs and noise, uint8 (N, H, W, 3)."""
    for (rows, columns), batch in itertools.product(grids, batches):
        size = rows * config.downsample, columns * config.downsample
        yield f"photograph {batch} x {size}", photographs(batch, *size)
        noise = np.random.default_rng(2).integers(0, 256, (batch, *size, 3), dtype=np.uint8)
        yield f"noise {batch} x {size}", noise


@torch.no_grad()
def assert_sessions_match(exported: Exported, cases: Iterator[tuple[str, np.ndarray]]) -> None:
    """Each graph alone: the encoder at every picture, the decoder at a photograph's latent or at noise."""
    encoder, decoder = exported.session("encoder"), exported.session("decoder")
    for name, pictures in cases:
        image = to_tensor(pictures)
        latent = exported.network.encode(torch.from_numpy(image))
        found = difference(encoder.run({"image": image})["latent"], latent.numpy())
        assert found.within(FP32), f"encoder, {name}: {found}"
        if name.startswith("noise"):
            latent = random_input(*latent.shape)
        expected = exported.network.decode(latent).numpy()
        found = difference(decoder.run({"latent": latent.numpy()})["image"], expected)
        assert found.within(FP32), f"decoder, {name}: {found}"


@torch.no_grad()
def assert_pictures_match(exported: Exported, pictures: np.ndarray) -> None:
    """What a user calls: uint8 pictures in and out."""
    autoencoder = Autoencoder.open(exported.bundle.path, threads=1)
    latent = exported.network.encode(torch.from_numpy(to_tensor(pictures)))
    expected = to_uint8(exported.network.decode(latent).numpy())
    encoded = difference(autoencoder.encode(pictures), latent.numpy())
    assert encoded.within(FP32), f"encode: {encoded}"
    for name, result in (
        ("decode", autoencoder.decode(latent.numpy())),
        ("reconstruct", autoencoder.reconstruct(pictures)),
    ):
        found = difference(result, expected)
        assert found.within(UINT8), f"{name}: {found}"


def test_dynamic_graphs_compute_what_pytorch_does_at_every_size_and_batch(dynamic):
    assert_sessions_match(dynamic, inputs(dynamic.network.config, GRIDS, (1, 2)))


def test_dynamic_bundles_reconstruct_photographs_as_pytorch_does(dynamic):
    sides = (side * dynamic.network.config.downsample for side in GRIDS[-1])
    assert_pictures_match(dynamic, photographs(2, *sides))


def test_static_graphs_compute_what_pytorch_does_at_their_size(static):
    assert_sessions_match(static, inputs(static.network.config, [STATIC_GRID], (2,)))
    sides = (side * static.network.config.downsample for side in STATIC_GRID)
    assert_pictures_match(static, photographs(2, *sides))


def test_static_graphs_take_no_other_size(static):
    z, (height, width) = static.network.config.latent_channels, STATIC_GRID
    for shape in ((1, z, height, width), (2, z, width, height)):
        with pytest.raises(UsageError, match="has shape"):
            static.session("decoder").run({"latent": np.zeros(shape, np.float32)})


def assert_independent_runtimes_match(bundle: Bundle) -> None:
    measured = measure(bundle, RUNTIMES)
    assert len(measured) == 2 * len(RUNTIMES)
    for one in measured:
        assert one.passed, f"{one.graph} on {one.runtime}: {one.difference}"


def test_openvino_and_the_reference_evaluator_agree_on_dynamic_graphs(dynamic):
    assert_independent_runtimes_match(dynamic.bundle)


def test_openvino_and_the_reference_evaluator_agree_on_static_graphs(static):
    assert_independent_runtimes_match(static.bundle)


def test_every_target_and_option_computes_what_pytorch_does(variant):
    options, exported = variant
    if not options.image_io:
        assert_sessions_match(exported, inputs(exported.network.config, [(3, 2)], (2,)))
    assert_pictures_match(exported, photographs(2, 6, 4))
    assert all(one.passed for one in measure(exported.bundle, [Runtime.CPU, Runtime.REFERENCE]))


# --------------------------------------------------------------------------------------------- content


def ranks(model: onnx.ModelProto) -> set[int]:
    values = [*model.graph.value_info, *model.graph.output]
    assert {value.name for value in values} >= {o for node in model.graph.node for o in node.output}
    return {len(value.type.tensor_type.shape.dim) for value in values}


# Every operator that a block may leave, by kind of block: what is more is a shortcut, a norm or a shape that
# was not folded, what is less is something that was lost.
CONV = Counter(Conv=1)
SILU = Counter(Sigmoid=1, Mul=1)
RMS_NORM = Counter(Pow=1, ReduceMean=1, Add=2, Sqrt=1, Reciprocal=1, Mul=2)
SHUFFLE = Counter(DepthToSpace=1)
RESIDUAL = Counter(Add=1)


def activation(kind: Activation) -> Counter[str]:
    return SILU if kind is Activation.SILU else Counter(Relu=1)


def stage(config: networks.Stage) -> Counter[str]:
    total: Counter[str] = Counter()
    for _ in range(config.depth):
        if isinstance(config, ResStage):
            total += CONV + activation(config.activation) + CONV + RESIDUAL
            total += RMS_NORM if config.norm is Norm.RMS else Counter()
        else:
            total += attention(config) + RESIDUAL
            # The gated MLP: expand, mix, split, gate, project.
            total += CONV + SILU + CONV + Counter(Split=1) + SILU + Counter(Mul=1) + CONV
            total += RMS_NORM + RESIDUAL
    return total


def attention(config: AttentionStage) -> Counter[str]:
    total = CONV + Counter(Reshape=2, Split=1, Relu=2, Transpose=1, MatMul=3, ReduceSum=1)
    for _ in config.scales:
        total += CONV + CONV
    total += Counter(Concat=1) if config.scales else Counter()
    # The epsilon, the division, the projection.
    return total + Counter(Add=1, Div=1) + CONV + RMS_NORM


def encoder_operators(config: AutoencoderConfig) -> Counter[str]:
    """Each halving of the resolution is a convolution, or one for each phase whose channels are then put in order."""
    down = CONV
    if config.encoder.downsampling is Downsampling.CONV_PIXEL_UNSHUFFLE:
        down = CONV + CONV + CONV + CONV + Counter(Concat=1, Gather=1)
    total = CONV + Counter()
    for one in config.encoder.stages:
        total += stage(one)
    for _ in config.encoder.stages[1:]:
        total += down
    # Where the first stage is empty, the first convolution is a halving itself.
    return total if config.encoder.stages[0].depth == 0 else total + CONV


def decoder_operators(config: AutoencoderConfig) -> Counter[str]:
    if config.decoder.upsampling is Upsampling.CONV_PIXEL_SHUFFLE:
        up = CONV + SHUFFLE
    else:
        up = CONV + CONV + CONV + CONV + Counter(Concat=1) + SHUFFLE
    total = CONV + RMS_NORM + activation(config.decoder.out_activation)
    for one in config.decoder.stages:
        total += stage(one)
    for _ in config.decoder.stages[1:]:
        total += up
    return total if config.decoder.stages[0].depth == 0 else total + CONV


def grids(stages: tuple[networks.Stage, ...]) -> Counter[str]:
    """What a dynamic graph needs to know sizes: a Shape for each attention grid, however many blocks it has.

    With several scales the attention's result has channels that no other tensor has, so that its shape is
    joined from the channels and the grid.
    """
    attentions = [one for one in stages if isinstance(one, AttentionStage)]
    joined = [one for one in attentions if one.scales]
    return Counter(Shape=len(attentions)) + Counter(Concat=len(joined))


def test_a_dynamic_graph_holds_nothing_but_its_layers_and_a_shape_for_each_attention_grid(dynamic):
    config = dynamic.network.config
    encoder = encoder_operators(config) + grids(config.encoder.stages)
    decoder = decoder_operators(config) + grids(config.decoder.stages)
    assert count(dynamic.model("encoder")) == encoder
    assert count(dynamic.model("decoder")) == decoder


def test_a_static_graph_holds_nothing_but_its_layers(static):
    assert count(static.model("encoder")) == encoder_operators(static.network.config)
    assert count(static.model("decoder")) == decoder_operators(static.network.config)


def test_no_tensor_has_more_than_four_dimensions(dynamic):
    assert max(ranks(dynamic.model("encoder"))) == 4
    assert max(ranks(dynamic.model("decoder"))) == 4


def test_the_interface_stands_in_the_graph_and_nothing_else_about_its_making(dynamic):
    factor, z = dynamic.network.config.downsample, dynamic.network.config.latent_channels
    image = ["batch", 3, f"{factor}*height", f"{factor}*width"]
    latent = ["batch", z, "height", "width"]
    for name, ports in (("encoder", (image, latent)), ("decoder", (latent, image))):
        model = dynamic.model(name)
        for value, expected in zip(
            (model.graph.input[0], model.graph.output[0]), ports, strict=True
        ):
            dims = value.type.tensor_type.shape.dim
            assert [dim.dim_param or dim.dim_value for dim in dims] == expected
        properties = {item.key for item in model.metadata_props}
        assert properties == {"dcae.model_id", "dcae.format_version"}
        assert not any(node.doc_string or node.metadata_props for node in model.graph.node)


def test_every_target_writes_its_own_opset_and_form_of_norm(variant):
    options, exported = variant
    opset = TARGETS[options.target].opset
    for name, num_norms in (("encoder", 3), ("decoder", 3)):
        model = exported.model(name)
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
        operators = count(model)
        form = "RMSNormalization" if opset == 23 else "ReduceMean"
        assert operators[form] == num_norms
        assert operators["RMSNormalization"] + operators["ReduceMean"] == num_norms
        onnx.checker.check_model(str(exported.bundle.path / f"{name}.onnx"), full_check=True)


def test_weights_stay_inside_a_single_file_and_are_in_pieces_for_the_web(variant):
    options, exported = variant
    files = exported.bundle.manifest.files
    for name, graph in exported.bundle.manifest.graphs.items():
        if options.single_file:
            assert graph.data == ()
        elif options.target == "web":
            assert len(graph.data) > 1
            assert all(files[data].bytes <= SHARD_BYTES for data in graph.data)
        else:
            assert graph.data == (f"{name}.onnx.data",)
    assert exported.bundle.manifest.graphs["encoder"].target == options.target


def test_the_manifest_says_what_became_of_the_simplifier(variant):
    options, exported = variant
    for record in exported.bundle.manifest.simplification:
        assert record.simplifier == options.simplifier
        assert record.outcome == ("not asked for" if options.simplifier == "none" else "used")
        assert record.nodes_after == len(exported.model(record.graph).graph.node)


def test_pictures_in_and_out_of_the_graph_stand_in_the_interface(variant):
    options, exported = variant
    manifest = exported.bundle.manifest
    image = manifest.graphs["encoder"].inputs[0]
    assert manifest.image.dtype == image.dtype == ("uint8" if options.image_io else "float32")
    assert manifest.image.layout == ("NHWC" if options.image_io else "NCHW")
    assert manifest.graphs["decoder"].outputs[0] == image


# --------------------------------------------------------------------------------- named regressions


def port(name: str, *shape: int | str) -> Port:
    return Port(name=name, dtype="float32", shape=shape)


def test_pixel_unshuffle_is_never_published_in_another_channel_order():
    """torch once wrote SpaceToDepth for pixel_unshuffle, whose channels come in another order."""
    module = nn.Sequential(ConvPixelUnshuffle(4, 16, shortcut=True)).eval()
    signature = Signature(
        inputs=(port("image", "batch", 4, "2*height", "2*width"),),
        output=port("latent", "batch", 16, "height", "width"),
    )
    x = random_input(2, 4, 6, 4)
    unfolded = trace(module, (x,), signature, target=TARGETS["generic"])
    with pytest.raises(ExportError, match=r"SpaceToDepth|dimensions"):
        check_structure(unfolded, name="encoder")
    expected = module(x).detach().numpy()
    rewrite_module(module, TARGETS["generic"])
    folded = trace(module, (x,), signature, target=TARGETS["generic"])
    check_structure(folded, name="encoder")
    assert [node.op_type for node in folded.graph] == [*["Conv"] * 4, "Concat", "Gather"]
    found = difference(run(folded, image=x.numpy())[0], expected)
    assert found.within(FP32), str(found)


def test_a_head_that_attends_to_nothing_gives_zeros_in_the_graph():
    """onnxscript takes the epsilon of 1e-15 for a 0 and removes it: 0 / 0 where no query is positive."""
    module = nn.Sequential(LinearAttention(64, scales=())).eval().requires_grad_(False)
    module[0].qkv.weight[:32] = 0  # the queries of the first of two heads
    signature = Signature(
        inputs=(port("latent", "batch", 64, "height", "width"),),
        output=port("image", "batch", 64, "height", "width"),
    )
    x = random_input(2, 64, 2, 3)
    expected = module(x).numpy()
    rewrite_module(module, TARGETS["generic"])
    model = trace(module, (x,), signature, target=TARGETS["generic"])
    found = difference(run(model, latent=x.numpy())[0], expected)
    assert found.within(FP32), str(found)
