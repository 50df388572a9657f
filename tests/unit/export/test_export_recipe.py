import pytest

from dcae_export.errors import ConfigError, UsageError
from dcae_export.export.options import ExportOptions, parse_size
from dcae_export.export.recipe import ExportRecipe
from dcae_export.models.presets import PRESETS, preset_name
from dcae_export.recipe_files import find_recipe, shipped_recipes
from dcae_export.yaml_file import load


@pytest.fixture
def recipe(tmp_path):
    def write(text):
        (tmp_path / "recipe.yaml").write_text(text)
        return load(tmp_path / "recipe.yaml", ExportRecipe)

    return write


@pytest.mark.parametrize("name", shipped_recipes("export"))
def test_every_shipped_recipe_can_be_exported(name):
    recipe = load(find_recipe(name, kind="export"), ExportRecipe)
    assert recipe.variant is not None
    config = PRESETS[preset_name(recipe.variant)].config
    assert recipe.options().grid(config.downsample) is not None


def test_two_recipes_are_shipped():
    assert set(shipped_recipes("export")) == {"f64-2048", "sana-tensorrt-1024"}


def test_a_file_of_the_users_goes_before_a_shipped_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_recipe("f64-2048", kind="export").is_absolute()
    (tmp_path / "f64-2048").write_text("variant: f32")
    assert load(find_recipe("f64-2048", kind="export"), ExportRecipe).variant == "f32"


def test_an_empty_choice_is_the_options_defaults():
    assert ExportRecipe().options() == ExportOptions()


def test_every_option_has_its_key(recipe):
    options = recipe(
        "target: web\nsize: 128x64\nbatch: 2\nimage_io: true\nsimplifier: none\nsingle_file: true"
    ).options()
    assert options == ExportOptions(
        target="web",
        size=(64, 128),
        batch=2,
        image_io=True,
        simplifier="none",
        single_file=True,
    )


def test_a_precision_goes_with_its_target(recipe):
    options = recipe("target: cuda\nprecision: fp16").options()
    assert (options.target, options.precision) == ("cuda", "fp16")
    with pytest.raises(UsageError, match="--precision fp16 is for --target cuda and tensorrt"):
        recipe("precision: fp16").options()
    with pytest.raises(ConfigError, match=r"precision: Input should be 'fp32', 'fp16' or 'bf16'"):
        recipe("precision: half")


def test_a_size_without_a_height_is_square(recipe):
    assert recipe("size: 512").size == (512, 512)


@pytest.mark.parametrize("size", ["[512, 512]", "0", "512.0", "true", "64x", "-1"])
def test_a_malformed_size_is_an_error_of_the_file(recipe, size):
    with pytest.raises(ConfigError, match=r"recipe\.yaml: size"):
        recipe(f"size: {size}")


def test_an_unknown_target_lists_the_known(recipe):
    with pytest.raises(ConfigError, match=r"target: Input should be 'generic', 'cpu'"):
        recipe("target: phone")


def test_a_batch_goes_with_a_size(recipe):
    with pytest.raises(UsageError, match="--size"):
        recipe("batch: 2").options()


def test_a_size_is_width_by_height():
    assert parse_size("2048x1024") == (1024, 2048)
