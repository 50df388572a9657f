from pathlib import Path

import pytest
from bundle_factory import edit_manifest, write_tiny_bundle
from pydantic import ValidationError

from dcae_export.bundle.manifest import AxisRange, Manifest, Port
from dcae_export.bundle.reader import Bundle
from dcae_export.errors import BundleError


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "bundle")


def _manifest(bundle: Path) -> Manifest:
    return Bundle.open(bundle).manifest


def test_a_manifest_survives_its_json(bundle: Path) -> None:
    manifest = _manifest(bundle)
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


def test_a_mixed_graph_lists_its_float32_blocks(bundle: Path) -> None:
    written = [{"block": "stages.3.1", "max_abs": 20000.5}, {"block": "conv_out", "max_abs": None}]
    edit_manifest(
        bundle,
        lambda c: c["graphs"]["decoder"].update(precision="fp16", fp32_blocks=written),
    )
    manifest = _manifest(bundle)
    blocks = manifest.graphs["decoder"].fp32_blocks
    assert blocks is not None
    assert [(one.block, one.max_abs) for one in blocks] == [
        ("stages.3.1", 20000.5),
        ("conv_out", None),
    ]
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


def test_keys_of_mixed_graphs_are_left_out_of_others(bundle: Path) -> None:
    text = _manifest(bundle).model_dump_json()
    assert "fp32_blocks" not in text
    assert "cosine" not in text


def test_a_port_resolves_its_axes_and_finds_them_again() -> None:
    port = Port(name="image", dtype="float32", shape=("batch", 3, "32*height", "32*width"))
    assert port.resolve({"batch": 2, "height": 4, "width": 6}) == (2, 3, 128, 192)
    assert port.axes((2, 3, 128, 192)) == {"batch": 2, "height": 4, "width": 6}


@pytest.mark.parametrize("shape", [(2, 3, 128), (2, 4, 128, 192), (2, 3, 129, 192)])
def test_a_port_gives_no_axes_for_a_shape_that_is_not_its_own(shape: tuple[int, ...]) -> None:
    port = Port(name="image", dtype="float32", shape=("batch", 3, "32*height", "32*width"))
    assert port.axes(shape) is None


def test_one_axis_has_one_value() -> None:
    port = Port(name="image", dtype="float32", shape=("height", "2*height"))
    assert port.axes((4, 8)) == {"height": 4}
    assert port.axes((4, 6)) is None


def test_a_range_must_be_ordered() -> None:
    with pytest.raises(ValidationError, match="min 3 is greater than max 2"):
        AxisRange(min=3, max=2)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda c: c["files"].pop("decoder.onnx.data"),
            r"not listed in files: decoder\.onnx\.data",
        ),
        (
            lambda c: c["files"].update({"Decoder.onnx": c["files"]["decoder.onnx"]}),
            "differ only in case",
        ),
        (
            lambda c: c["files"].update({"Manifest.JSON": c["files"]["decoder.onnx"]}),
            "cannot list itself",
        ),
        (lambda c: c["graphs"]["decoder"]["ranges"].pop("width"), "named axes"),
        (lambda c: c["graphs"]["decoder"].update(precision="fp16"), "fp32_blocks goes with"),
        (lambda c: c["graphs"]["decoder"].update(fp32_blocks=[]), "fp32_blocks goes with"),
        (lambda c: c["graphs"]["decoder"].update(precision="bf16"), "'fp32' or 'fp16'"),
        (
            lambda c: c["graphs"]["decoder"].update(
                precision="fp16", fp32_blocks=[{"block": "../x", "max_abs": None}]
            ),
            r"fp32_blocks\.0\.block",
        ),
        (lambda c: c["golden"][0].update(graph="encoder"), "golden case for encoder"),
        (lambda c: c["golden"][0].update(inputs={}), "does not name the inputs and outputs"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_an_error(bundle: Path, edit, message: str) -> None:
    edit_manifest(bundle, edit)
    with pytest.raises(BundleError, match=rf"manifest\.json: .*{message}"):
        Bundle.open(bundle)
