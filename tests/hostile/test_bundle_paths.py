"""A manifest or a link that leads out of the bundle (P5)."""

import os
from pathlib import Path

import pytest
from bundle_factory import edit_manifest, write_tiny_bundle

from dcae_export.bundle.reader import Bundle
from dcae_export.errors import DcaeError, RefusedError


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "bundle")


OUTSIDE = [
    "/etc/passwd",
    "../outside",
    "golden/../../outside",
    "..",
    ".",
    "",
    "./decoder.onnx",
    "golden//latent.npy",
    "golden/",
    "C:/outside",
    "C:outside",
    "\\\\host\\share",
    "golden\\latent.npy",
    ".hidden",
    "~/outside",
    "a\nb",
    "decoder.onnx\n",
    "décoder.onnx",
    "a\x00b",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_listed_path_that_is_not_plain_is_refused(bundle: Path, name: str) -> None:
    (bundle.parent / "outside").write_bytes(b"")
    record = {"sha256": "0" * 64, "bytes": 0}
    edit_manifest(bundle, lambda content: content["files"].update({name: record}))
    with pytest.raises(RefusedError, match="no plain relative path inside the bundle") as caught:
        Bundle.open(bundle)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_graphs_path_that_is_not_plain_is_refused(bundle: Path, name: str) -> None:
    edit_manifest(bundle, lambda content: content["graphs"]["decoder"].update(path=name))
    with pytest.raises(RefusedError, match=r"manifest\.json: graphs\.decoder\.path is no plain"):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_golden_path_that_is_not_plain_is_refused(bundle: Path, name: str) -> None:
    edit_manifest(bundle, lambda content: content["golden"][0].update(inputs={"latent": name}))
    with pytest.raises(RefusedError, match=r"golden\.0\.inputs\.latent is no plain"):
        Bundle.open(bundle)


@pytest.mark.parametrize("name", ["decoder.onnx", "decoder.onnx.data", "golden/latent.npy"])
def test_a_file_that_is_a_link_is_refused(bundle: Path, name: str) -> None:
    real = bundle.parent / "real"
    (bundle / name).rename(real)
    (bundle / name).symlink_to(real)
    with pytest.raises(RefusedError, match=f"{name} is a link"):
        Bundle.open(bundle)


def test_a_link_to_a_file_of_the_same_bundle_is_refused(bundle: Path) -> None:
    (bundle / "decoder.onnx").rename(bundle / "real.onnx")
    (bundle / "decoder.onnx").symlink_to("real.onnx")
    with pytest.raises(RefusedError, match=r"decoder\.onnx is a link"):
        Bundle.open(bundle)


def test_a_folder_that_is_a_link_is_refused(bundle: Path) -> None:
    (bundle / "golden").rename(bundle.parent / "golden")
    (bundle / "golden").symlink_to(bundle.parent / "golden")
    with pytest.raises(RefusedError, match=r"golden/(image|latent)\.npy: golden is a link"):
        Bundle.open(bundle)


def test_a_manifest_that_is_a_link_is_refused(bundle: Path) -> None:
    (bundle / "manifest.json").rename(bundle.parent / "manifest.json")
    (bundle / "manifest.json").symlink_to(bundle.parent / "manifest.json")
    with pytest.raises(RefusedError, match=r"manifest\.json is a link"):
        Bundle.open(bundle)


def test_a_dangling_link_is_refused(bundle: Path) -> None:
    (bundle / "decoder.onnx").unlink()
    (bundle / "decoder.onnx").symlink_to("nowhere")
    with pytest.raises(RefusedError, match=r"decoder\.onnx is a link"):
        Bundle.open(bundle)


def test_a_file_that_becomes_a_link_after_opening_is_refused(bundle: Path) -> None:
    opened = Bundle.open(bundle, verify_hashes=False)
    (bundle / "decoder.onnx").rename(bundle.parent / "real")
    (bundle / "decoder.onnx").symlink_to(bundle.parent / "real")
    with pytest.raises(RefusedError, match=r"decoder\.onnx is a link"):
        opened.check_graph("decoder")


def test_a_folder_that_becomes_a_link_between_look_and_open_is_refused(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Bundle.open(bundle)
    (bundle.parent / "evil").mkdir()
    (bundle.parent / "evil" / "latent.npy").write_bytes(b"")
    real_open = os.open

    def swap_then_open(path: Path, *args: int) -> int:
        (bundle / "golden").rename(bundle.parent / "moved")
        (bundle / "golden").symlink_to(bundle.parent / "evil")
        return real_open(path, *args)

    monkeypatch.setattr(os, "open", swap_then_open)
    with pytest.raises(RefusedError, match="replaced by another file"):
        opened.golden(opened.manifest.golden[0])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
@pytest.mark.parametrize("name", ["manifest.json", "decoder.onnx"])
def test_a_pipe_is_refused_and_does_not_hang_the_reader(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    os.mkfifo(bundle / name)
    with pytest.raises(RefusedError, match=f"{name}: not a regular file"):
        Bundle.open(bundle)


def test_a_folder_in_a_files_place_is_refused(bundle: Path) -> None:
    (bundle / "decoder.onnx").unlink()
    (bundle / "decoder.onnx").mkdir()
    with pytest.raises(RefusedError, match=r"decoder\.onnx: not a regular file"):
        Bundle.open(bundle)


def test_a_file_in_a_folders_place_is_an_error(bundle: Path) -> None:
    for path in (bundle / "golden").iterdir():
        path.unlink()
    (bundle / "golden").rmdir()
    (bundle / "golden").write_bytes(b"")
    with pytest.raises(DcaeError, match="missing"):
        Bundle.open(bundle)
