import json

import pytest

from dcae_export.recipe_files import KINDS, shipped_recipes


def test_every_recipe_has_a_row(dcae):
    rows = dcae("recipes", "list").out.splitlines()
    names = [(kind, name) for kind in KINDS for name in shipped_recipes(kind)]
    assert [tuple(row.split()[:2]) for row in rows[1:]] == names
    (row,) = [row for row in rows if " f64-phase2 " in row]
    assert "high resolution" in row


def test_the_json_has_every_recipe_with_what_it_is_for(dcae):
    listed = json.loads(dcae("recipes", "list", "--json").out)
    assert {kind: list(listed[kind]) for kind in listed} == {
        kind: list(shipped_recipes(kind)) for kind in KINDS
    }


def test_all_recipes_are_copied_under_what_they_are_for(dcae, tmp_path):
    result = dcae("recipes", "copy", tmp_path / "recipes")
    assert result.status == 0
    for kind in KINDS:
        for name, path in shipped_recipes(kind).items():
            copied = tmp_path / "recipes" / kind / f"{name}.yaml"
            assert copied.read_bytes() == path.read_bytes()
            assert str(copied) in result.out.splitlines()


def test_a_recipe_that_was_changed_is_kept_and_nothing_is_copied_beside_it(dcae, tmp_path):
    changed = tmp_path / "train" / "f64-phase1.yaml"
    changed.parent.mkdir()
    changed.write_text("variant: f64")
    result = dcae("recipes", "copy", tmp_path)
    assert result.status == 3
    assert "--force" in result.err
    assert list(tmp_path.rglob("*.yaml")) == [changed]
    assert dcae("recipes", "copy", tmp_path, "--force").status == 0
    assert changed.read_bytes() == shipped_recipes("train")["f64-phase1"].read_bytes()


@pytest.mark.parametrize("name", ["file", "file/inside"])
def test_a_folder_that_cannot_be_made_is_an_error(dcae, tmp_path, name):
    (tmp_path / "file").touch()
    result = dcae("recipes", "copy", tmp_path / name)
    assert result.status == 3
    assert result.err.count("\n") == 1
