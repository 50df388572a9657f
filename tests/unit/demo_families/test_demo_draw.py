import numpy as np
import pytest
from click.testing import CliRunner

from dcae_export.errors import InputError
from dcae_export.pictures.picture_file import read_picture
from recipes.demo.draw import command
from recipes.demo.numbering import Split, draw_picture
from recipes.demo.table import FAMILIES


def draw(folder, *options, split="training", count=2, side=32):
    arguments = ["--split", split, "--count", str(count), "--side", str(side)]
    result = CliRunner().invoke(command, [*arguments, "--out", str(folder), *options])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")
    }


def test_every_family_has_a_folder_of_numbered_pictures(tmp_path):
    assert draw(tmp_path, count=1) == 0
    assert set(contents(tmp_path)) == {f"{family}/000000.png" for family in FAMILIES}
    expected = draw_picture(Split.TRAINING, "hills", 0, 32)
    assert np.array_equal(read_picture(tmp_path / "hills" / "000000.png"), expected)


def test_only_the_families_that_are_named_are_drawn(tmp_path):
    draw(tmp_path, "--family", "stars", "--family", "neon", split="held-out")
    assert {name.split("/")[0] for name in contents(tmp_path)} == {"stars", "neon"}
    expected = draw_picture(Split.HELD_OUT, "stars", 1, 32)
    assert np.array_equal(read_picture(tmp_path / "stars" / "000001.png"), expected)


def test_what_was_interrupted_goes_on_to_the_same_bytes(tmp_path):
    at_once, resumed = tmp_path / "at-once", tmp_path / "resumed"
    draw(at_once, "--family", "bricks", count=4)
    draw(resumed, "--family", "bricks", count=3)
    (resumed / "bricks" / "000001.png").unlink()
    draw(resumed, "--family", "bricks", count=4)
    assert contents(resumed) == contents(at_once)
    assert len(contents(resumed)) == 4


def test_pictures_that_are_there_are_kept(tmp_path):
    draw(tmp_path, "--family", "neon")
    path = tmp_path / "neon" / "000001.png"
    path.write_bytes(b"kept")
    draw(tmp_path, "--family", "neon", count=3)
    assert path.read_bytes() == b"kept"


@pytest.mark.parametrize("other", [{"split": "held-out"}, {"side": 64}])
def test_a_folder_of_another_split_or_size_is_refused(tmp_path, other):
    draw(tmp_path, "--family", "marble")
    before = contents(tmp_path)
    with pytest.raises(InputError, match="another folder"):
        draw(tmp_path, "--family", "marble", **other)
    assert contents(tmp_path) == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "neon").touch()
    with pytest.raises(InputError, match="neon: cannot be made: File exists"):
        draw(tmp_path, "--family", "neon")
