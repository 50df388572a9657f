import re
from pathlib import Path

import pytest
from training_recipes import SMALL, small_recipe, write_recipe

from dcae_export.errors import ConfigError, UsageError
from dcae_export.models.presets import PRESETS
from dcae_export.recipe_files import find_recipe, shipped_recipes
from dcae_export.training.autoencoder.recipe import AutoencoderRecipe
from dcae_export.yaml_file import dump, load

NAMES = [
    name
    for name, path in shipped_recipes("train").items()
    if "\nphase: " in path.read_text(encoding="utf-8")
]
REFINEMENT = {"phase": "local-refinement", "decoder_head": "1"}
ADVERSARIAL = {"losses.adversarial": "{weight: 0.1, learning_rate: 1e-4}"}


def shipped(name: str) -> AutoencoderRecipe:
    return load(find_recipe(name, kind="train"), AutoencoderRecipe)


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_recipe_is_one_and_survives_being_written(name, tmp_path):
    recipe = shipped(name)
    (tmp_path / "again.yaml").write_text(dump(recipe))
    assert load(tmp_path / "again.yaml", AutoencoderRecipe) == recipe


def test_each_factor_has_three_phases_and_the_baselines_the_first():
    phases = {
        f"{short}-phase{n}" for short in ("f32", "f64", "f128", "f64-demo") for n in (1, 2, 3)
    }
    baselines = {"sd-f32-phase1", "sd-f64-phase1"}
    assert set(NAMES) == phases | baselines | {"fine-tune"}


@pytest.mark.parametrize("short", ["f32", "f64", "f128"])
def test_the_phases_have_the_published_optimizers(short):
    first, second, third = (shipped(f"{short}-phase{n}") for n in (1, 2, 3))
    rates = [recipe.optimizer.learning_rate for recipe in (first, second, third)]
    assert rates == [6.4e-5, 1.6e-5, 5.4e-5]
    assert [recipe.optimizer.weight_decay for recipe in (first, second)] == [0.1, 0.001]
    assert first.optimizer.betas == second.optimizer.betas == (0.9, 0.999)
    assert third.optimizer.betas == (0.5, 0.9)
    assert (first.losses.adversarial, second.losses.adversarial) == (None, None)
    assert third.losses.adversarial is not None
    assert second.size == 1024
    assert first.size == third.size < second.size


@pytest.mark.parametrize("short", ["f32", "f64"])
def test_a_baseline_differs_from_dc_ae_in_its_network_only(short):
    baseline = shipped(f"sd-{short}-phase1").model_dump()
    ours = shipped(f"{short}-phase1").model_dump()
    assert {key for key in ours if ours[key] != baseline[key]} == {"variant"}


def test_what_is_left_out_has_a_value(tmp_path):
    recipe = small_recipe(tmp_path)
    assert recipe.variant == "dc-ae-f32c32-in-1.0"
    assert (recipe.accumulation, recipe.precision, recipe.init_from) == (1, "fp32", None)
    assert recipe.ema is not None
    assert recipe.trained_ends() == {}
    assert recipe.variant in PRESETS


def test_the_documented_recipe_has_every_key_and_the_values_of_what_is_left_out(tmp_path):
    page = Path(__file__).parents[4] / "docs" / "training.md"
    documented, *_ = re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    shown = load(write_recipe(tmp_path, documented), AutoencoderRecipe)
    stated = {"losses": "{l1: 1.0, perceptual: {weight: 0.25}}"}
    stated |= {"size": "256", "batch_size": "16", "steps": "200000"}
    assert shown == small_recipe(tmp_path, **stated, **{"optimizer.learning_rate": "6.4e-5"})
    keys = re.findall(r"^ *(\w+):", documented, re.MULTILINE)
    models = (shown, shown.optimizer, shown.ema, shown.losses, shown.losses.perceptual, shown.data)
    fields = [name for model in models for name in type(model).model_fields]
    ends = {"encoder_head", "decoder_input", "decoder_head"}
    assert sorted(keys) == sorted(set(fields) - ends)


@pytest.mark.parametrize(
    ("phase", "counts", "ends"),
    [
        ("full", {}, {}),
        (
            "latent-adaptation",
            {"encoder_head": "3", "decoder_input": "2"},
            {"encoder_head": 3, "decoder_input": 2},
        ),
        ("local-refinement", {"decoder_head": "6"}, {"decoder_head": 6}),
    ],
)
def test_a_phase_says_how_many_parts_train_at_its_ends(tmp_path, phase, counts, ends):
    assert small_recipe(tmp_path, phase=phase, **counts).trained_ends() == ends


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"size": "100"}, "size: 100 is no multiple of 32"),
        ({"size": "100"}, "96 and 128 would be"),
        ({"size": "31"}, "dc-ae-f32c32-in-1.0 needs; 32 would be"),
        ({"encoder_head": "1"}, "encoder_head: phase full does not choose its parts by it"),
        ({"phase": "latent-adaptation", "encoder_head": "1"}, "decoder_input: phase latent-ad"),
        ({"phase": "local-refinement"}, "decoder_head: phase local-refinement needs it"),
        (
            ADVERSARIAL | {"phase": "latent-adaptation", "encoder_head": "1", "decoder_input": "1"},
            "losses.adversarial: phase latent-adaptation moves the latent, and a GAN is kept out",
        ),
        (ADVERSARIAL | {"losses.adversarial.start_step": "3"}, "start_step: 3 is never reached"),
        (
            ADVERSARIAL | REFINEMENT | {"losses.adversarial.start_step": "3"},
            "losses.adversarial.start_step: 3 is never reached in 3 steps",
        ),
    ],
)
def test_what_contradicts_itself_is_one_line_that_names_who_said_so(tmp_path, overrides, message):
    with pytest.raises(UsageError) as raised:
        small_recipe(tmp_path, **overrides)
    assert str(raised.value).startswith("--set ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("phase", [REFINEMENT, {"phase": "full"}])
def test_a_gan_is_part_of_local_refinement_or_of_a_full_training(tmp_path, phase):
    recipe = small_recipe(tmp_path, **phase, **ADVERSARIAL)
    assert recipe.losses.adversarial is not None
    assert recipe.losses.adversarial.betas == (0.5, 0.9)


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("variant", "f46", "variant: unknown variant 'f46'"),
        ("phase", "1", "phase: Input should be 'full', 'latent-adaptation' or 'local-refinement'"),
        ("batch_size", "0", "batch_size: Input should be greater than or equal to 1"),
        ("batch_size", "1.5", "batch_size: Input should be a valid integer"),
        ("precision", "int8", "precision: Input should be 'fp32', 'bf16' or 'fp16'"),
        ("optimizer.lr", "1", "optimizer.lr: unknown key"),
        ("optimizer.learning_rate", "0", "optimizer.learning_rate: Input should be greater than"),
        ("optimizer.betas", "[0.9, 1.0]", "optimizer.betas.1: Input should be less than 1"),
        ("ema.decay", "1.0", "ema.decay: Input should be less than 1"),
        ("losses.l1", "-1", "losses.l1: Input should be greater than or equal to 0"),
        ("losses.l1", ".nan", "losses.l1: Input should be a valid number"),
        ("losses", "{l1: 0}", "losses: l1 or perceptual.weight must be above 0"),
        (
            "losses.perceptual",
            "{weight: 1, kind: structure, vgg: a.pth}",
            "losses.perceptual: vgg goes with the kind lpips",
        ),
        ("data.min_area", "0", "data.min_area: Input should be greater than 0"),
        ("data.sources", "[{name: a, shards: b}]", "data.sources.0.weight: Field required"),
    ],
)
def test_a_value_that_cannot_be_names_its_key_and_what_is_expected(tmp_path, key, text, message):
    with pytest.raises(UsageError) as raised:
        small_recipe(tmp_path, **{key: text})
    assert str(raised.value).startswith(f"--set {message}")


@pytest.mark.parametrize("key", ["phase", "size", "batch_size", "steps"])
def test_some_keys_cannot_be_left_out(tmp_path, key):
    lines = [line for line in SMALL.splitlines() if not line.startswith(f"{key}:")]
    with pytest.raises(ConfigError, match=f"{key}: Field required"):
        load(write_recipe(tmp_path, "\n".join(lines)), AutoencoderRecipe)


def test_shards_are_weighted_sources(tmp_path):
    sources = "[{name: imagenet, shards: 'in/{000..146}.tar', weight: 0.7}, {name: ffhq, shards: ffhq, weight: 0.3}]"
    recipe = small_recipe(tmp_path, **{"data.sources": sources})
    assert [(one.name, one.weight) for one in recipe.data.sources] == [
        ("imagenet", 0.7),
        ("ffhq", 0.3),
    ]
    (tmp_path / "again.yaml").write_text(dump(recipe))
    assert load(tmp_path / "again.yaml", AutoencoderRecipe) == recipe
