import json
from pathlib import Path

import numpy as np
import pytest
from crafted_pictures import gradient

from dcae_export.cli.pictures import names_for
from dcae_export.evaluation.pictures import EvaluatedPictures
from dcae_export.pictures.picture_file import read_picture, write_picture
from dcae_export.runtime.provider_options import CudaOptions


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    write_picture(path, gradient(40, 70))
    return path


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "a.jpg", "b.png"):
        write_picture(folder / name, gradient(40, 70))
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_one_picture_is_written_and_measured(dcae, opened, photo, tmp_path):
    result = dcae("reconstruct", "bundle", photo, "--out", tmp_path / "back.png")
    assert result.status == 0
    assert result.out.startswith(f"{tmp_path / 'back.png'}: 70x40, PSNR 48.13 dB, SSIM 0.99")
    assert np.array_equal(read_picture(tmp_path / "back.png"), gradient(40, 70) ^ 1)
    assert not (tmp_path / "sheet.png").exists()


def test_a_sheet_is_drawn_where_asked(dcae, opened, photo, tmp_path):
    sheet = tmp_path / "sheet.png"
    assert (
        dcae("reconstruct", "b", photo, "--out", tmp_path / "c.png", "--sheet", sheet).status == 0
    )
    assert read_picture(sheet).shape[1] > 3 * 320


@pytest.mark.parametrize(
    ("fit", "size"), [("pad", "70x40"), ("crop", "64x32"), ("resize", "64x32")]
)
def test_the_scores_are_those_of_the_fitted_picture(dcae, opened, photo, tmp_path, fit, size):
    result = dcae("reconstruct", "b", photo, "--out", tmp_path / "c.png", "--fit", fit)
    assert f": {size}, PSNR 48.13 dB" in result.out


def test_the_options_reach_the_runtime(dcae, opened, photo, tmp_path):
    result = dcae(
        *("reconstruct", "bundle", photo, "--out", tmp_path / "c.png"),
        *("--provider", "cuda", "--threads", "3", "--no-verify"),
    )
    assert opened[0].opened_with == {
        "bundle": Path("bundle"),
        "provider": CudaOptions(),
        "threads": 3,
        "verify_hashes": False,
    }
    assert "not checked" in result.err


def test_hashes_are_checked_unless_told_otherwise(dcae, opened, photo, tmp_path):
    result = dcae("reconstruct", "bundle", photo, "--out", tmp_path / "c.png")
    assert opened[0].opened_with["verify_hashes"] is True
    assert result.err == ""


def test_a_tiny_picture_has_no_ssim_and_no_sheet(dcae, opened, tmp_path):
    write_picture(tmp_path / "tiny.png", gradient(8, 8))
    result = dcae(
        *("reconstruct", "b", tmp_path / "tiny.png", "--out", tmp_path / "c.png"),
        *("--sheet", tmp_path / "sheet.png", "--json"),
    )
    (picture,) = json.loads(result.out)["pictures"]
    assert picture["ssim"] is None
    assert picture["sheet"] is None
    assert "too small" in result.err


def test_a_sheet_does_not_replace_the_picture(dcae, opened, photo, tmp_path):
    both = tmp_path / "c.png"
    assert dcae("reconstruct", "b", photo, "--out", both, "--sheet", both).status == 2
    assert not opened


def test_a_picture_that_cannot_be_read_leaves_nothing(dcae, opened, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    result = dcae("reconstruct", "b", tmp_path / "broken.png", "--out", tmp_path / "c.png")
    assert result.status == 3
    assert result.err.count("\n") == 1
    assert "broken.png" in result.err
    assert not (tmp_path / "c.png").exists()


def test_a_picture_that_is_not_there_is_an_error(dcae, opened, tmp_path):
    result = dcae("reconstruct", "b", tmp_path / "gone.png", "--out", tmp_path / "c.png")
    assert result.status == 3
    assert "gone.png" in result.err


@pytest.mark.parametrize(
    ("out", "fault"),
    [
        ("photo.png", (3, "exists")),
        ("c.gif", (2, "suffix")),
        ("no/such/folder/c.png", (3, "no folder")),
    ],
)
def test_a_target_is_checked_before_the_bundle_is_opened(dcae, opened, photo, out, fault):
    result = dcae("reconstruct", "b", photo, "--out", photo.parent / out)
    assert result.status == fault[0]
    assert fault[1] in result.err
    assert not opened


def test_force_replaces_the_target(dcae, opened, photo, tmp_path):
    (tmp_path / "c.png").write_bytes(b"old")
    assert dcae("reconstruct", "b", photo, "--out", tmp_path / "c.png", "--force").status == 0
    assert read_picture(tmp_path / "c.png").shape == (40, 70, 3)


def test_a_folder_becomes_reconstructions_sheets_and_a_table(dcae, opened, photos, tmp_path):
    out = tmp_path / "out"
    result = dcae("reconstruct", "b", photos, "--out", out)
    assert result.status == 0
    names = {"a.png.png", "a.jpg.png", "b.png"}
    assert {path.name for path in out.glob("*.png")} == names
    assert {path.name for path in (out / "sheets").glob("*.png")} == names
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["picture", "a.jpg", "a.png", "b.png"]
    assert lines[4].startswith("mean of 3")
    assert "48.13" in lines[4]


def test_pictures_that_cannot_be_read_are_listed_and_counted(dcae, opened, photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"\xff\xd8")
    result = dcae("reconstruct", "b", photos, "--out", tmp_path / "out")
    assert result.status == 0
    assert "left out: " in result.err
    assert "broken.jpg" in result.err
    assert "1 of 4 pictures left out" in result.err


def test_a_folder_without_one_readable_picture_is_an_error(dcae, opened, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "broken.jpg").write_bytes(b"\xff\xd8")
    result = dcae("reconstruct", "b", folder, "--out", tmp_path / "out", "--json")
    assert result.status == 3
    assert "none of its 1 pictures" in result.err
    content = json.loads(result.out)
    assert content["pictures"] == []
    assert content["mean"] == {"psnr_db": None, "ssim": None}
    assert len(content["unreadable"]) == 1


def test_a_folder_without_pictures_is_an_error(dcae, opened, tmp_path):
    (tmp_path / "photos").mkdir()
    result = dcae("reconstruct", "b", tmp_path / "photos", "--out", tmp_path / "out")
    assert result.status == 3
    assert "holds no PNG, JPEG or WebP" in result.err


def test_the_folder_of_the_pictures_is_no_target(dcae, opened, photos):
    result = dcae("reconstruct", "b", photos, "--out", photos, "--force")
    assert result.status == 2
    assert np.array_equal(read_picture(photos / "b.png"), gradient(40, 70))


def test_a_folder_that_was_filled_before_is_left_alone(dcae, opened, photos, tmp_path):
    out = tmp_path / "out"
    assert dcae("reconstruct", "b", photos, "--out", out).status == 0
    result = dcae("reconstruct", "b", photos, "--out", out)
    assert result.status == 3
    assert "--force" in result.err
    assert dcae("reconstruct", "b", photos, "--out", out, "--force").status == 0


def test_the_json_of_a_folder_holds_scores_and_files(dcae, opened, photos, tmp_path):
    result = dcae("reconstruct", "b", photos, "--out", tmp_path / "out", "--json")
    content = json.loads(result.out)
    assert list(content) == ["bundle", "pictures", "unreadable", "mean"]
    assert len(content["pictures"]) == 3
    first = content["pictures"][0]
    assert list(first) == ["picture", "out", "sheet", "width", "height", "psnr_db", "ssim"]
    assert Path(first["out"]).is_file()
    assert Path(first["sheet"]).is_file()
    assert content["mean"]["psnr_db"] == pytest.approx(48.13, abs=0.01)


def test_names_meet_only_where_nothing_tells_them_apart():
    names = names_for([Path("A.jpg"), Path("a.png"), Path("b.webp"), Path("in/a.png")])
    assert [str(name) for name in names.values()] == ["A.jpg.png", "a.png.png", "b.png", "in/a.png"]


def test_pictures_of_subfolders_keep_their_places_and_the_order_of_evaluations(
    dcae, opened, photos, tmp_path
):
    for name in ("cat/b.jpg", "cat/deep/a.png", "bird/z.png"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        write_picture(photos / name, gradient(40, 70))
    (photos / "link").symlink_to(photos / "cat")
    out = tmp_path / "out"
    result = dcae("reconstruct", "b", photos, "--out", out)
    assert result.status == 0
    shown = [line.split()[0] for line in result.out.splitlines()[1:-2]]
    assert shown == [*EvaluatedPictures.find(photos, count=None).names]
    assert shown[-3:] == ["bird/z.png", "cat/b.jpg", "cat/deep/a.png"]
    assert result.out.splitlines()[-1].startswith(f"{out}: ")
    for name in ("bird/z.png", "cat/b.png", "cat/deep/a.png"):
        assert (out / name).is_file()
        assert (out / "sheets" / name).is_file()
    assert "left out: " in result.err
    assert "link: a link to a folder" in result.err


def test_reconstructions_do_not_go_among_the_pictures(dcae, opened, photos):
    result = dcae("reconstruct", "b", photos, "--out", photos / "out")
    assert result.status == 2
    assert "choose another --out" in result.err
    assert not opened


def test_two_pictures_never_become_one_file(dcae, opened, photos, tmp_path):
    (photos / "sheets").mkdir()
    write_picture(photos / "sheets" / "b.png", gradient(40, 70))
    result = dcae("reconstruct", "b", photos, "--out", tmp_path / "out", "--force")
    assert result.status == 2
    assert "b.png and sheets/b.png would both become" in result.err
    assert not opened


def test_a_latent_goes_to_a_file_and_back_to_a_picture(dcae, opened, photo, tmp_path):
    latent = tmp_path / "latent.npy"
    result = dcae("encode", "b", photo, "--out", latent)
    assert result.status == 0
    assert result.out == f"{latent}: 1 x 4 x 2 x 3 float32\n"
    assert "70x40 became 96x64, a multiple of 32" in result.err
    stored = np.load(latent, allow_pickle=False)
    assert stored.dtype == np.float32
    assert stored.shape == (1, 4, 2, 3)
    result = dcae("decode", "b", latent, "--out", tmp_path / "back.png")
    assert result.out == f"{tmp_path / 'back.png'}: 96x64\n"
    assert read_picture(tmp_path / "back.png").shape == (64, 96, 3)


def test_a_latent_is_not_overwritten(dcae, opened, photo, tmp_path):
    latent = tmp_path / "latent.npy"
    latent.write_bytes(b"old")
    assert dcae("encode", "b", photo, "--out", latent).status == 3
    assert not opened
    assert latent.read_bytes() == b"old"
    assert dcae("encode", "b", photo, "--out", latent, "--force").status == 0


def test_the_folder_of_a_latent_is_looked_for_before_the_work(dcae, opened, photo, tmp_path):
    result = dcae("encode", "b", photo, "--out", tmp_path / "no" / "latent.npy")
    assert result.status == 3
    assert "no folder" in result.err
    assert not opened


def test_a_latent_has_the_suffix_of_its_format(dcae, opened, photo, tmp_path):
    assert dcae("encode", "b", photo, "--out", tmp_path / "latent.bin").status == 2


def test_a_latent_of_another_model_is_an_error(dcae, opened, tmp_path):
    np.save(tmp_path / "latent.npy", np.zeros((1, 9, 2, 2), np.float32))
    result = dcae("decode", "b", tmp_path / "latent.npy", "--out", tmp_path / "c.png")
    assert result.status == 3
    assert "another model" in result.err


def test_a_batch_of_latents_is_a_usage_error(dcae, opened, tmp_path):
    np.save(tmp_path / "latent.npy", np.zeros((2, 4, 2, 2), np.float32))
    result = dcae("decode", "b", tmp_path / "latent.npy", "--out", tmp_path / "c.png")
    assert result.status == 2
    assert "2 latents" in result.err
