from types import SimpleNamespace

import pytest
import torch
from tiny_diffusion_training import (
    CHANNELS,
    CLASSES,
    FAMILIES,
    SIDE,
    SOURCE,
    small_declaration,
    small_recipe,
    toy_latents,
    write_latents,
)

from dcae_export.errors import ConfigError
from dcae_export.models.dit import DiTConfig
from dcae_export.models.transformer_weights import build_transformer
from dcae_export.training.diffusion.training import DiffusionTraining, declare
from dcae_export.training.initialization import initialize_transformer
from dcae_export.training.latents.batch import LatentBatch
from dcae_export.training.latents.folder import LatentFolder

ACCELERATOR = SimpleNamespace(backward=lambda loss: loss.backward())


def declared(tmp_path, recipe, **changes):
    return declare(recipe, [LatentFolder.open(write_latents(tmp_path / "latents", **changes))])


def started(family):
    declaration = small_declaration(family)
    network = build_transformer(declaration.config())
    initialize_transformer(network, seed=0)
    return network, declaration.diffusion()


def batch(count):
    latents, labels = toy_latents(count)
    return LatentBatch(latents=latents, labels=labels)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_folder_says_channels_grid_and_classes(tmp_path, family):
    said = declared(tmp_path, small_recipe(tmp_path, family))
    assert isinstance(said.config(), DiTConfig) == (family == "dit")
    assert (said.in_channels, said.grid) == (CHANNELS, (SIDE, SIDE))
    assert (said.num_classes, said.class_names) == (len(CLASSES), CLASSES)
    assert said.autoencoder.model_dump() == SOURCE.model_dump()
    assert (said.default_guidance, said.patch) == (1.5, 1)
    predictions = {"dit": "epsilon", "uvit": "epsilon", "usit": "velocity"}
    assert said.prediction == predictions[family]


def test_the_first_folders_grid_is_that_of_the_network(tmp_path):
    sides = (SIDE, 4 * SIDE, 2 * SIDE)
    folders = [LatentFolder.open(write_latents(tmp_path / str(side), side=side)) for side in sides]
    said = declare(small_recipe(tmp_path), folders)
    assert said.grid == said.config().grid == (SIDE, SIDE)
    assert said.other_grids == ((16, 16), (8, 8))


def test_every_grid_has_to_be_covered_by_patches(tmp_path):
    folders = [LatentFolder.open(write_latents(tmp_path / str(side), side=side)) for side in (4, 7)]
    with pytest.raises(ConfigError, match="other_grids: a side is no multiple of patch 2"):
        declare(small_recipe(tmp_path, patch="2"), folders)


@pytest.mark.parametrize("classes", [CLASSES, None])
def test_an_unconditional_training_leaves_labels_out(tmp_path, classes):
    recipe = small_recipe(tmp_path, unconditional="true")
    said = declared(tmp_path, recipe, classes=classes)
    assert (said.num_classes, said.class_names, said.default_guidance) == (None, None, 1.0)


def test_latents_without_classes_train_unconditionally_only(tmp_path):
    with pytest.raises(ConfigError, match="unconditional: true trains without"):
        declared(tmp_path, small_recipe(tmp_path), classes=None)


@pytest.mark.parametrize(("preset", "patch"), [("sd-f8", 2), ("custom", 1)])
def test_a_token_of_the_baselines_latents_is_two_positions_wide(tmp_path, preset, patch):
    source = SOURCE.model_copy(update={"preset": preset})
    assert declared(tmp_path, small_recipe(tmp_path), source=source).patch == patch


def test_the_recipes_patch_wins(tmp_path):
    source = SOURCE.model_copy(update={"preset": "sd-f8"})
    assert declared(tmp_path, small_recipe(tmp_path, patch="1"), source=source).patch == 1


@pytest.mark.parametrize("preset", ["sd-f8", "custom"])
def test_latents_of_the_recipes_autoencoder_or_of_its_shape_are_taken(tmp_path, preset):
    source = SOURCE.model_copy(update={"preset": preset})
    recipe = small_recipe(tmp_path, autoencoder="sd-f8")
    assert declared(tmp_path, recipe, source=source, downsample=8).autoencoder.preset == preset


@pytest.mark.parametrize(
    ("preset", "downsample"), [("custom", 4), ("dc-ae-f32c32-in-1.0", 8)], ids=["shape", "preset"]
)
def test_latents_of_another_autoencoder_are_refused(tmp_path, preset, downsample):
    source = SOURCE.model_copy(update={"preset": preset})
    recipe = small_recipe(tmp_path, autoencoder="sd-f8")
    with pytest.raises(ConfigError, match="autoencoder: sd-f8 in the recipe, the latents are") as e:
        declared(tmp_path, recipe, source=source, downsample=downsample)
    assert "--set autoencoder=null" in str(e.value)


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("dit", {"noise", "variational_bound"}),
        ("uvit", {"noise"}),
        ("usit", {"velocity"}),
    ],
)
def test_every_parameter_that_acts_gets_a_gradient_of_the_familys_losses(tmp_path, family, names):
    network, diffusion = started(family)
    # DiT's blocks are behind gates of 0 when it starts: a little off, all of it takes part.
    for parameter in network.parameters():
        parameter.data.add_(0.01)
    training = DiffusionTraining(network, diffusion, small_recipe(tmp_path, family))
    torch.manual_seed(0)
    losses = training.backward(batch(24), step=0, accelerator=ACCELERATOR)
    assert set(losses) == names
    assert not any(loss.requires_grad for loss in losses.values())
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert all(parameter.grad.any() for parameter in network.parameters())


@pytest.mark.parametrize("share", [0.0, 0.1, 0.75])
def test_labels_become_the_null_class_in_the_recipes_share(tmp_path, share):
    network, diffusion = started("uvit")
    training = DiffusionTraining(
        network, diffusion, small_recipe(tmp_path, class_dropout=str(share))
    )
    count = 6000
    shown: list[torch.Tensor] = []
    weight = torch.zeros(1, requires_grad=True)

    def network_that_looks(state, timestep, label):
        shown.append(label)
        return state * weight

    training.modules["network"] = network_that_looks
    torch.manual_seed(0)
    given = batch(count)
    training.backward(given, step=0, accelerator=ACCELERATOR)
    (labels,) = shown
    dropped = labels == len(CLASSES)
    # Five standard deviations of a share of 6000.
    assert float(dropped.float().mean()) == pytest.approx(share, abs=5 * 0.5 / count**0.5)
    assert torch.equal(labels[~dropped], given.labels[~dropped])


def test_blocks_are_computed_twice_where_the_recipe_asks_for_it(tmp_path):
    gradients = []
    for checkpointed in ("false", "true"):
        network, diffusion = started("uvit")
        recipe = small_recipe(tmp_path, checkpoint_activations=checkpointed)
        training = DiffusionTraining(network, diffusion, recipe)
        calls: list[int] = []
        network.mid_block.norm1.register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        torch.manual_seed(0)
        training.backward(batch(8), step=0, accelerator=ACCELERATOR)
        assert len(calls) == (2 if checkpointed == "true" else 1)
        gradients.append({name: p.grad for name, p in network.named_parameters()})
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])


def test_there_is_nothing_to_show(tmp_path):
    training = DiffusionTraining(*started("uvit"), small_recipe(tmp_path))
    assert training.sample(accelerator=ACCELERATOR) is None
    assert training.is_active("network", step=0)
