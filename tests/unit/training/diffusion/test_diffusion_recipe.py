import re
from pathlib import Path

import pytest
from tiny_diffusion_training import small_recipe

from dcae_export.errors import ConfigError, UsageError
from dcae_export.models.presets import preset_name
from dcae_export.models.transformer_presets import BACKBONES, TRANSFORMERS
from dcae_export.recipe_files import find_recipe, shipped_recipes
from dcae_export.training.diffusion.recipe import DiffusionRecipe
from dcae_export.yaml_file import dump, load

# Of each family: learning rate, betas, weight decay, latents in a step, warm-up, precision, steps.
PUBLISHED = {
    "uvit": (2e-4, (0.99, 0.99), 0.03, 1024, 5000, "bf16", 500_000),
    "usit": (1e-4, (0.99, 0.99), 0.0, 1024, 5000, "bf16", 500_000),
    "dit": (1e-4, (0.9, 0.999), 0.0, 256, 0, "fp16", 3_000_000),
}
PROCESSES = 8
# Of the demo's own network, which nobody published.
DEMO = ("f64-demo-usit-512", "f64-demo-usit")
OURS = [
    name
    for name, path in shipped_recipes("train").items()
    if "\ntransformer: " in path.read_text(encoding="utf-8")
]
NAMES = [name for name in OURS if name not in DEMO]


def shipped(name: str) -> DiffusionRecipe:
    return load(find_recipe(name, kind="train"), DiffusionRecipe)


def test_every_published_transformer_has_a_recipe():
    suffixes = {"": "", "-trainbs1024": "-bs1024", "-train2000k": "-2000k"}
    short = {preset_name(one): one for one in ("f32", "f64")}
    expected = set()
    for name, preset in TRANSFORMERS.items():
        backbone, training = name.removeprefix(f"{preset.autoencoder}-").split("-in-512px")
        expected.add(f"{backbone}-{short[preset.autoencoder]}{suffixes[training]}")
    assert set(NAMES) == expected
    assert len(expected) == 11


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_recipe_is_the_published_training(name):
    recipe = shipped(name)
    rate, betas, decay, batch, warm_up, precision, steps = PUBLISHED[recipe.transformer.family]
    if name.endswith("-bs1024"):
        rate, batch = 2e-4, 1024
    if name.endswith("-2000k"):
        steps = 2_000_000
    optimizer = recipe.optimizer
    assert (optimizer.learning_rate, optimizer.betas, optimizer.weight_decay) == (
        rate,
        betas,
        decay,
    )
    assert optimizer.decay_norms == (decay > 0)
    assert optimizer.clip_norm is None
    assert optimizer.warm_up_steps == warm_up
    assert PROCESSES * recipe.batch_size * recipe.accumulation == batch
    assert (recipe.precision, recipe.steps) == (precision, steps)
    assert recipe.ema is not None
    assert (recipe.ema.decay, recipe.ema.warm_up) == (0.9999, 2000)
    assert recipe.class_dropout == 0.1
    assert recipe.checkpoint_activations
    assert not recipe.unconditional


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_recipe_trains_what_its_name_says(name):
    recipe = shipped(name)
    backbone, short = re.fullmatch(r"(.+?)-(f32|f64)(?:-\w+)?", name).groups()
    assert recipe.transformer.backbone() == BACKBONES[backbone]
    assert recipe.autoencoder == preset_name(short)


@pytest.mark.parametrize("name", DEMO)
def test_the_demos_recipes_train_the_demos_network(name):
    recipe = shipped(name)
    assert recipe.transformer.backbone() == BACKBONES["usit-demo"]
    assert recipe.autoencoder == preset_name("f64-demo")
    assert recipe.transformer.guidance == 3.0


@pytest.mark.parametrize("name", OURS)
def test_a_shipped_recipe_survives_being_written(name, tmp_path):
    recipe = shipped(name)
    (tmp_path / "again.yaml").write_text(dump(recipe))
    assert load(tmp_path / "again.yaml", DiffusionRecipe) == recipe


@pytest.mark.parametrize("name", BACKBONES)
def test_a_backbones_name_stands_for_its_section(tmp_path, name):
    assert small_recipe(tmp_path, transformer=name).transformer.backbone() == BACKBONES[name]


def test_the_documented_recipe_has_every_key_and_the_values_of_what_is_left_out(tmp_path):
    page = Path(__file__).parents[4] / "docs" / "diffusion-training.md"
    documented, *_ = re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "documented.yaml").write_text(documented)
    shown = load(tmp_path / "documented.yaml", DiffusionRecipe)
    stated = (
        "transformer: uvit-h\nbatch_size: 128\nsteps: 500000\noptimizer: {learning_rate: 2e-4}\n"
    )
    (tmp_path / "stated.yaml").write_text(stated)
    assert shown == load(tmp_path / "stated.yaml", DiffusionRecipe)
    keys = re.findall(r"^ *(\w+):", documented, re.MULTILINE)
    models = (shown, shown.optimizer, shown.ema)
    assert sorted(keys) == sorted(name for model in models for name in type(model).model_fields)


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("transformer", "uvit-x", "transformer: unknown transformer 'uvit-x'; there are dit-s, "),
        ("transformer", "3", "transformer: "),
        ("transformer.family", "unet", "transformer.family: Input should be 'dit', 'uvit' or"),
        ("transformer.depth", "0", "transformer.depth: Input should be greater than"),
        ("transformer.width", "1.5", "transformer.width: Input should be a valid integer"),
        ("transformer.guidance", "0.5", "transformer.guidance: Input should be greater than"),
        ("transformer.patch", "2", "transformer.patch: unknown key"),
        ("autoencoder", "f46", "autoencoder: unknown variant 'f46'"),
        ("class_dropout", "1", "class_dropout: Input should be less than 1"),
        ("patch", "0", "patch: Input should be greater than or equal to 1"),
        ("sample_every", "3", "sample_every: unknown key"),
    ],
)
def test_a_value_that_cannot_be_names_its_key_and_what_is_expected(tmp_path, key, text, message):
    with pytest.raises(UsageError) as raised:
        small_recipe(tmp_path, **{key: text})
    assert str(raised.value).startswith(f"--set {message}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"transformer.heads": "5"}, "width 32 is no multiple of its 5 heads"),
        ({"transformer.depth": "3"}, "depth 3 cannot be halved"),
    ],
)
def test_sizes_that_make_no_network_are_found_before_anything_is_read(tmp_path, overrides, message):
    with pytest.raises(UsageError, match=f"transformer: {message}"):
        small_recipe(tmp_path, **overrides)


@pytest.mark.parametrize("key", ["transformer", "batch_size", "steps", "optimizer"])
def test_some_keys_of_a_diffusion_recipe_cannot_be_left_out(tmp_path, key):
    text = "transformer: dit-s\nbatch_size: 1\nsteps: 1\noptimizer: {learning_rate: 1e-4}\n"
    lines = [line for line in text.splitlines() if not line.startswith(f"{key}:")]
    (tmp_path / "less.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match=f"{key}: Field required"):
        load(tmp_path / "less.yaml", DiffusionRecipe)
