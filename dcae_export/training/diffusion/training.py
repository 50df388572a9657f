"""Train a diffusion transformer: from a recipe and folders of latents to the model that the run leaves."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn, optim

from dcae_export.errors import ConfigError
from dcae_export.files.whole_file import whole_file
from dcae_export.models.dit import DiT, DiTConfig
from dcae_export.models.finished_run import TRANSFORMER_NAME
from dcae_export.models.identity import CUSTOM
from dcae_export.models.presets import PRESETS
from dcae_export.models.source import resolve_transformer
from dcae_export.models.tensor_files import read_json_object
from dcae_export.models.transformer_declaration import TransformerDeclaration
from dcae_export.models.transformer_presets import configure, default_patch, diffusion_of
from dcae_export.models.transformer_weights import TransformerCheckpoint, build_transformer
from dcae_export.models.uvit import UViT, UViTConfig
from dcae_export.sampling.schedule import Diffusion
from dcae_export.training.diffusion.objective import objective
from dcae_export.training.diffusion.recipe import DiffusionRecipe
from dcae_export.training.diffusion.recomputed_blocks import recompute_blocks
from dcae_export.training.engine.engine import train
from dcae_export.training.engine.events import Event, Note
from dcae_export.training.engine.processes import ThisProcess
from dcae_export.training.engine.protocols import NETWORK
from dcae_export.training.engine.run_folder import RunFolder
from dcae_export.training.finished_model import write_transformer
from dcae_export.training.initialization import initialize_transformer
from dcae_export.training.latents.batch import LatentBatch
from dcae_export.training.latents.data import LatentData
from dcae_export.training.latents.folder import LatentFolder
from dcae_export.training.latents.sizes import LatentSizes, equal_tokens, open_sizes
from dcae_export.training.optimizer import adamw

_OBJECTIVE = "objective"


def train_diffusion(
    recipe: DiffusionRecipe,
    *,
    data: Sequence[Path],
    out: Path,
    resume: bool,
    on_event: Callable[[Event], None],
) -> None:
    """Train to the recipe's last step, and leave ``out/model``: averaged weights, and what they were trained on.

    Args:
        recipe: What to do; without ``init_from`` weights are drawn from its seed.
        data: Folders of latents, each of another size; the first one's grid is that of the network.
        out: The run's folder, which is there.
        resume: Go on from the newest checkpoint.
        on_event: Is told what happens, on the main process.

    Raises:
        ConfigError: Recipe, latents and weights do not go together, or the run was begun on other latents.
        DcaeError: As ``resolve_transformer``, ``open_sizes`` and ``train``.
    """
    process = ThisProcess.find()
    folders = open_sizes(data)
    declaration = declare(recipe, folders)
    if resume and (out / TRANSFORMER_NAME).exists():
        _require_same(out, declaration)
    elif process.is_main:
        _keep(out, declaration)
    if process.is_main:
        for folder, batch_size in zip(
            folders, equal_tokens(folders, recipe.batch_size), strict=True
        ):
            on_event(Note(text=_describe(folder, batch_size)))
    network = _network(declaration.config(), recipe.init_from, seed=recipe.seed)
    outcome = train(
        DiffusionTraining(network, declaration.diffusion(), recipe),
        _data(folders, recipe, process),
        recipe.engine_settings(),
        RunFolder(out),
        resume=resume,
        on_event=on_event,
    )
    if process.is_main:
        write_transformer(out, declaration=declaration, state=outcome.weights)


class DiffusionTraining:
    """One objective of a transformer, as the engine takes it."""

    def __init__(self, network: DiT | UViT, diffusion: Diffusion, recipe: DiffusionRecipe) -> None:
        """Join what the recipe asks for.

        Args:
            network: The transformer; all of it trains.
            diffusion: What it learns to predict.
            recipe: What to do.
        """
        if recipe.checkpoint_activations:
            recompute_blocks(network)
        self._objective = objective(diffusion)
        self.modules: dict[str, nn.Module] = {NETWORK: network, _OBJECTIVE: self._objective}
        self.optimizers: dict[str, optim.Optimizer] = {
            NETWORK: adamw(network.parameters(), recipe.optimizer)
        }
        self._null_class = network.config.num_classes
        self._class_dropout = recipe.class_dropout

    def is_active(self, name: str, *, step: int) -> bool:  # noqa: ARG002 - as the engine asks
        """The network moves at every step."""
        return True

    def backward(
        self,
        batch: LatentBatch,
        *,
        step: int,  # noqa: ARG002 - as the engine asks
        accelerator: Accelerator,
    ) -> dict[str, Tensor]:
        """The gradients of one batch, of the sum of the losses."""
        label = self._shown_labels(batch)

        def predict(state: Tensor, timestep: Tensor) -> Tensor:
            return self.modules[NETWORK](state, timestep, label)

        losses = self._objective(batch.latents, predict)
        accelerator.backward(torch.stack(list(losses.values())).sum())  # pyright: ignore[reportUnknownMemberType]
        return {name: loss.detach() for name, loss in losses.items()}

    def sample(self, *, accelerator: Accelerator) -> None:
        """Nothing: latents are no pictures without their autoencoder."""

    def _shown_labels(self, batch: LatentBatch) -> Tensor | None:
        """Labels of which some are the null class, which learns what there is without one (arXiv 2207.12598)."""
        if self._null_class is None:
            return None
        assert batch.labels is not None, "latents with classes have labels"
        dropped = torch.rand(len(batch.labels), device=batch.labels.device) < self._class_dropout
        return batch.labels.masked_fill(dropped, self._null_class)


def declare(recipe: DiffusionRecipe, folders: Sequence[LatentFolder]) -> TransformerDeclaration:
    """What a recipe trains on folders of latents that ``open_sizes`` has opened.

    Raises:
        ConfigError: They do not go together.
    """
    folder, *others = folders
    source = folder.autoencoder
    channels, rows, columns = folder.shape
    _require_autoencoder(recipe, folder)
    if folder.classes is None and not recipe.unconditional:
        raise ConfigError(
            "the latents have no classes: unconditional: true trains without, and latents of pictures in class "
            "folders have some"
        )
    backbone = recipe.transformer.backbone()
    diffusion, sampler = diffusion_of(backbone.family)
    classes = None if recipe.unconditional else folder.classes
    config = configure(
        backbone,
        channels=channels,
        grid=(rows, columns),
        patch=recipe.patch or default_patch(source.preset),
        num_classes=None if classes is None else len(classes),
    )
    return TransformerDeclaration.of(
        config,
        diffusion,
        default_sampler=sampler,
        # There is nothing to be guided to without classes.
        default_guidance=1.0 if classes is None else backbone.guidance,
        class_names=classes,
        autoencoder=source,
        other_grids=tuple(other.shape[1:] for other in others),
    )


def _require_autoencoder(recipe: DiffusionRecipe, folder: LatentFolder) -> None:
    """Weights of one's own go by no preset's name: then the shape of their latents has to be that of the preset."""
    wanted = recipe.autoencoder
    if wanted is None:
        return
    channels, rows, _ = folder.shape
    config = PRESETS[wanted].config
    fits = (channels, folder.size // rows) == (config.latent_channels, config.downsample)
    if folder.autoencoder.preset != wanted and not (folder.autoencoder.preset == CUSTOM and fits):
        raise ConfigError(
            f"autoencoder: {wanted} in the recipe, the latents are those of {folder.autoencoder.preset} with "
            f"{channels} channels at 1/{folder.size // rows}; --set autoencoder=null takes any"
        )


def _data(
    folders: Sequence[LatentFolder], recipe: DiffusionRecipe, process: ThisProcess
) -> LatentData | LatentSizes:
    """The share of this process."""
    share = {"rank": process.rank, "world_size": process.count}
    if len(folders) == 1:
        return LatentData.open(folders[0], batch_size=recipe.batch_size, seed=recipe.seed, **share)
    return LatentSizes.open(folders, batch_size=recipe.batch_size, seed=recipe.seed, **share)


def _describe(folder: LatentFolder, batch_size: int) -> str:
    channels, rows, columns = folder.shape
    classes = "no classes" if folder.classes is None else f"{len(folder.classes)} classes"
    made_by = folder.autoencoder.source
    noise = "; its weights are random" if folder.autoencoder.random_weights else ""
    return (
        f"{folder.count} latents of {channels}x{rows}x{columns}, {batch_size} at a time, {classes}, "
        f"made by {made_by}{noise}"
    )


def _keep(run: Path, declaration: TransformerDeclaration) -> None:
    with whole_file(run / TRANSFORMER_NAME, force=True) as file:
        file.write((json.dumps(declaration.content(), indent=2) + "\n").encode())


def _require_same(run: Path, declaration: TransformerDeclaration) -> None:
    """Weights that have seen two kinds of latents would be said to be of one."""
    before, now = read_json_object(run / TRANSFORMER_NAME), declaration.content()
    differing = [key for key in before | now if before.get(key) != now.get(key)]
    if differing:
        raise ConfigError(
            f"{run}: was begun on other latents, {', '.join(differing)} would change; resume it with its own, or "
            "choose another --out"
        )


def _network(config: DiTConfig | UViTConfig, init_from: str | None, *, seed: int) -> DiT | UViT:
    network = build_transformer(config)
    if init_from is None:
        initialize_transformer(network, seed=seed)
    else:
        start = resolve_transformer(init_from, name=None, autoencoder=None, option="--init-from")
        _require_sizes(start, config)
        network.load_state_dict(start.state, strict=True)
    return network


def _require_sizes(start: TransformerCheckpoint, config: DiTConfig | UViTConfig) -> None:
    before, now = dataclasses.asdict(start.config), dataclasses.asdict(config)
    differing = [key for key in now if before.get(key) != now[key]]
    if type(start.config) is not type(config):
        raise ConfigError(f"init_from: {start.name} is a network of another family")
    if differing:
        key = differing[0]
        raise ConfigError(
            f"init_from: {start.name} has {key} {before[key]}, this training {now[key]}"
        )
