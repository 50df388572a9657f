import numpy as np
import pytest
from click.testing import CliRunner

from dcae_export.errors import PictureError
from dcae_export.pictures.picture_file import read_picture
from recipes.demo import photographs
from recipes.demo.photographs import PHOTOGRAPHS, command, read_photograph


def write(folder, *options):
    result = CliRunner().invoke(command, ["--out", str(folder), *options])
    assert result.exit_code == 0, result.output
    return {path.name: read_picture(path) for path in folder.iterdir()}


def test_what_the_model_is_compared_on_is_never_trained_on():
    assert not {name for name in PHOTOGRAPHS if "astronaut" in name or "coffee" in name}


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_every_photograph_is_in_the_wheel(name):
    photograph = read_photograph(name)
    assert photograph.dtype == np.uint8
    assert photograph.ndim == 3
    assert min(photograph.shape[:2]) >= 256


def test_a_photograph_that_is_not_there_is_named():
    with pytest.raises(PictureError, match=r"nobody\.png"):
        read_photograph("nobody.png")


@pytest.fixture
def _three_photographs(monkeypatch):
    monkeypatch.setattr(photographs, "PHOTOGRAPHS", ("chelsea.png", "moon.png", "rocket.jpg"))


@pytest.mark.usefixtures("_three_photographs")
def test_whole_photographs_are_written_as_they_are(tmp_path):
    written = write(tmp_path)
    assert set(written) == {"chelsea.png", "moon.png", "rocket.png"}
    assert np.array_equal(written["chelsea.png"], read_photograph("chelsea.png"))


@pytest.mark.usefixtures("_three_photographs")
def test_crops_are_squares_and_kept_when_they_are_there(tmp_path):
    options = ("--crops", "2", "--side", "448")
    written = write(tmp_path, *options)
    assert {picture.shape for picture in written.values()} == {(448, 448, 3)}
    assert set(written) == {"moon-0000.png", "moon-0001.png"}
    assert not np.array_equal(written["moon-0000.png"], written["moon-0001.png"])
    (tmp_path / "moon-0001.png").unlink()
    again = write(tmp_path, *options)
    assert np.array_equal(again["moon-0001.png"], written["moon-0001.png"])
