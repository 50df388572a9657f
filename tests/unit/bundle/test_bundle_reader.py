from pathlib import Path

import numpy as np
import pytest
from bundle_factory import edit_manifest, edit_model, replace_file, write_tiny_bundle
from onnx import helper

from dcae_export.bundle.reader import Bundle
from dcae_export.errors import BundleError, RefusedError


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "bundle")


def test_a_written_bundle_verifies(bundle: Path) -> None:
    Bundle.open(bundle).verify()


def test_a_bundle_reached_through_a_link_opens(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(bundle)
    Bundle.open(tmp_path / "latest").verify()


def test_check_graph_returns_the_bytes_that_were_hashed(bundle: Path) -> None:
    files = Bundle.open(bundle).check_graph("decoder")
    assert files.model == (bundle / "decoder.onnx").read_bytes()
    assert files.path == bundle / "decoder.onnx"
    assert files.data == (bundle / "decoder.onnx.data",)
    assert files.graph.inputs[0].name == "latent"


def test_a_graph_that_is_not_there_is_named_with_those_that_are(bundle: Path) -> None:
    with pytest.raises(BundleError, match="no encoder in this bundle; its graphs: decoder"):
        Bundle.open(bundle).check_graph("encoder")


def test_golden_arrays_come_by_port_name(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    inputs, outputs = opened.golden(opened.manifest.golden[0])
    assert np.array_equal(inputs["latent"], np.load(bundle / "golden" / "latent.npy"))
    assert outputs["image"].shape == (1, 3, 4, 4)
    assert outputs["image"].flags.writeable


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json: missing"):
        Bundle.open(tmp_path)


def test_a_bundle_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="bundle: no such folder"):
        Bundle.open(tmp_path / "bundle")


@pytest.mark.parametrize("name", ["a" * 1000, "decoder.onnx/x"])
def test_a_path_that_cannot_be_a_folder_is_an_error_of_ours(bundle: Path, name: str) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        Bundle.open(bundle / name)


def test_a_listed_file_that_no_graph_uses_is_hashed_too(bundle: Path) -> None:
    replace_file(bundle, "notes.txt", b"good")
    (bundle / "notes.txt").write_bytes(b"evil")
    with pytest.raises(RefusedError, match=r"notes\.txt: sha256 differs"):
        Bundle.open(bundle).verify()


def test_an_interrupted_replacement_names_the_way_back(bundle: Path) -> None:
    bundle.rename(bundle.with_name(".bundle.previous"))
    with pytest.raises(BundleError, match=r"rename .*\.bundle\.previous to bundle"):
        Bundle.open(bundle)


def test_a_missing_file_is_found_at_opening(bundle: Path) -> None:
    (bundle / "decoder.onnx.data").unlink()
    with pytest.raises(BundleError, match=r"decoder\.onnx\.data: missing"):
        Bundle.open(bundle)


def test_a_size_that_differs_is_found_at_opening(bundle: Path) -> None:
    with (bundle / "decoder.onnx.data").open("ab") as file:
        file.write(b"x")
    with pytest.raises(
        BundleError, match=r"decoder\.onnx\.data: 4289 bytes, manifest\.json says 4288"
    ):
        Bundle.open(bundle, verify_hashes=False)


@pytest.mark.parametrize("name", ["decoder.onnx", "decoder.onnx.data"])
def test_a_hash_that_differs_refuses_the_graph(bundle: Path, name: str) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[-1] ^= 1
    (bundle / name).write_bytes(data)
    opened = Bundle.open(bundle)
    with pytest.raises(RefusedError, match=rf"{name}: sha256 differs from manifest\.json"):
        opened.check_graph("decoder")


def test_without_hashing_a_changed_weight_passes_and_verify_still_finds_it(bundle: Path) -> None:
    data = bytearray((bundle / "decoder.onnx.data").read_bytes())
    data[-1] ^= 1
    (bundle / "decoder.onnx.data").write_bytes(data)
    opened = Bundle.open(bundle, verify_hashes=False)
    opened.check_graph("decoder")
    with pytest.raises(RefusedError, match="sha256 differs"):
        opened.verify()


@pytest.mark.parametrize("key", ["dcae.model_id", "dcae.format_version"])
def test_a_graph_of_another_bundle_is_found(bundle: Path, key: str) -> None:
    def edit(model) -> None:
        next(entry for entry in model.metadata_props if entry.key == key).value = "7"

    edit_model(bundle, edit)
    with pytest.raises(BundleError, match=rf"decoder\.onnx: {key} is not that of manifest\.json"):
        Bundle.open(bundle).check_graph("decoder")


def test_a_graph_without_identity_is_found(bundle: Path) -> None:
    edit_model(bundle, lambda model: model.ClearField("metadata_props"))
    with pytest.raises(BundleError, match="mixed"):
        Bundle.open(bundle).check_graph("decoder")


def test_an_opset_that_differs_from_the_manifest_is_found(bundle: Path) -> None:
    edit_manifest(bundle, lambda content: content["graphs"]["decoder"].update(opset=19))
    with pytest.raises(BundleError, match=r"decoder\.onnx: opset 18, manifest\.json says 19"):
        Bundle.open(bundle).check_graph("decoder")


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((1, 4, 2, 2), np.float64), "holds <f8, float32 expected"),
        (np.zeros((1, 4, 2, 2), np.dtype(">f4")), "holds >f4, float32 expected"),
        (np.zeros((1, 5, 2, 2), np.float32), r"has the shape \(1, 5, 2, 2\)"),
        (np.zeros((4, 2, 2), np.float32), r"has the shape \(4, 2, 2\)"),
        (np.zeros((4,), np.float32), r"has the shape \(4,\)"),
        (np.zeros((), np.float32), r"has the shape \(\)"),
        (np.asfortranarray(np.zeros((1, 4, 2, 2), np.float32)), "its header is not"),
        (np.zeros((1,), [("x", "<f4")]), "its header is not"),
    ],
)
def test_a_golden_array_must_fit_its_port(
    bundle: Path, tmp_path: Path, array: np.ndarray, reason: str
) -> None:
    np.save(tmp_path / "array.npy", array)
    replace_file(bundle, "golden/latent.npy", (tmp_path / "array.npy").read_bytes())
    opened = Bundle.open(bundle)
    with pytest.raises(BundleError, match=rf"golden/latent\.npy: .*{reason}"):
        opened.golden(opened.manifest.golden[0])


def test_a_subfolder_graph_finds_its_data_beside_it(bundle: Path) -> None:
    (bundle / "graphs").mkdir()
    for name in ("decoder.onnx", "decoder.onnx.data"):
        (bundle / name).rename(bundle / "graphs" / name)

    def move(content: dict) -> None:
        files = content["files"]
        for name in ("decoder.onnx", "decoder.onnx.data"):
            files[f"graphs/{name}"] = files.pop(name)
        content["graphs"]["decoder"].update(
            path="graphs/decoder.onnx", data=["graphs/decoder.onnx.data"]
        )

    edit_manifest(bundle, move)
    Bundle.open(bundle).verify()


def test_an_operator_that_draws_at_random_is_refused_by_name(bundle: Path) -> None:
    node = helper.make_node("RandomNormalLike", ["latent"], ["noise"])
    edit_model(bundle, lambda model: model.graph.node.append(node))
    with pytest.raises(RefusedError, match=r"decoder\.onnx: operator 'RandomNormalLike'"):
        Bundle.open(bundle).check_graph("decoder")


def test_an_operator_of_another_domain_is_refused_by_name(bundle: Path) -> None:
    node = helper.make_node("EPContext", ["latent"], ["out"], domain="com.microsoft")
    edit_model(bundle, lambda model: model.graph.node.append(node))
    with pytest.raises(RefusedError, match=r"operator 'com\.microsoft::EPContext'"):
        Bundle.open(bundle).check_graph("decoder")
