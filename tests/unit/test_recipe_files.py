import pytest

from dcae_export.errors import ConfigError
from dcae_export.recipe_files import KINDS, find_recipe, shipped_recipes, summary


@pytest.mark.parametrize("kind", KINDS)
def test_every_recipe_says_in_its_first_line_what_it_is_for(kind):
    for path in shipped_recipes(kind).values():
        assert path.read_text(encoding="utf-8").startswith("# ")
        assert summary(path).endswith(".")


def test_a_name_is_of_its_kind_only():
    assert find_recipe("f64-2048", kind="export") == shipped_recipes("export")["f64-2048"]
    with pytest.raises(ConfigError, match="f64-2048: no such file, nor a recipe") as raised:
        find_recipe("f64-2048", kind="train")
    assert str(raised.value).endswith(" to train; `dcae recipes list` lists them")


def test_a_name_that_is_nearly_one_is_answered_with_it():
    with pytest.raises(ConfigError, match=r"; did you mean f64-phase1\? `dcae recipes list` "):
        find_recipe("f64-phas1", kind="train")
    with pytest.raises(ConfigError) as raised:
        find_recipe("nothing-like-it", kind="train")
    assert "did you mean" not in str(raised.value)


def test_a_file_goes_before_a_shipped_recipe_and_a_folder_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f64-phase1").mkdir()
    assert find_recipe("f64-phase1", kind="train") == shipped_recipes("train")["f64-phase1"]
    (tmp_path / "f64-phase1").rmdir()
    (tmp_path / "f64-phase1").write_text("variant: f32")
    assert find_recipe("f64-phase1", kind="train").read_text() == "variant: f32"
