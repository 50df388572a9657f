"""Train an autoencoder in one phase: from a recipe and pictures to the model that the run leaves."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from dcae_export.errors import ConfigError, HubError
from dcae_export.models.autoencoder import Autoencoder
from dcae_export.models.network import Network, NetworkConfig, build
from dcae_export.models.presets import PRESETS
from dcae_export.models.source import resolve
from dcae_export.models.vgg import fetch_vgg16
from dcae_export.models.weights import AutoencoderCheckpoint
from dcae_export.pictures.crops import TrainingCrop
from dcae_export.training.autoencoder.adversarial import (
    adaptive_weight,
    discriminator_loss,
    generator_loss,
)
from dcae_export.training.autoencoder.discriminator import (
    PatchDiscriminator,
    initialize_discriminator,
)
from dcae_export.training.autoencoder.linear_fit import fit_linear_path, require_linear_fit
from dcae_export.training.autoencoder.perceptual import LPIPS, Perceptual, Structure
from dcae_export.training.autoencoder.phases import Phase, PhaseNetwork
from dcae_export.training.autoencoder.recipe import AutoencoderRecipe, PerceptualRecipe
from dcae_export.training.autoencoder.scaling_factor import measure_scaling_factor
from dcae_export.training.data.image_folder import ImageFolderData
from dcae_export.training.data.loading import Loading
from dcae_export.training.data.mixture import MixtureSettings
from dcae_export.training.data.shard_files import find_shards
from dcae_export.training.data.shard_stream import ShardSource
from dcae_export.training.data.shards import ShardData
from dcae_export.training.engine.engine import train
from dcae_export.training.engine.events import Event, Note
from dcae_export.training.engine.processes import ThisProcess
from dcae_export.training.engine.protocols import NETWORK
from dcae_export.training.engine.run_folder import RunFolder
from dcae_export.training.finished_model import write_model
from dcae_export.training.initialization import initialize
from dcae_export.training.optimizer import adamw
from dcae_export.training.recipe_sections import crop_size_problem

DISCRIMINATOR = "discriminator"
# Pictures of a sheet.
_SAMPLES = 4
# Where PhaseNetwork keeps the autoencoder.
_PREFIX = "network."

Pictures = ImageFolderData | ShardData


def train_autoencoder(
    recipe: AutoencoderRecipe,
    *,
    data: Path | None,
    out: Path,
    resume: bool,
    on_event: Callable[[Event], None],
) -> None:
    """Train to the recipe's last step, and leave ``out/model``: averaged weights and the latents' scaling factor.

    Args:
        recipe: What to do; without ``init_from`` weights are drawn from its seed.
        data: A folder of pictures; None where the recipe names shards.
        out: The run's folder, which is there.
        resume: Go on from the newest checkpoint.
        on_event: Is told what happens, on the main process.

    Raises:
        ConfigError: The recipe does not fit the weights.
        DcaeError: As ``resolve``, ``ImageFolderData.open`` and ``train``.
    """
    process = ThisProcess.find()
    tell = on_event if process.is_main else _tell_nobody
    start = None
    if recipe.init_from is not None:
        start = resolve(recipe.init_from, variant=recipe.variant, option="--init-from")
    config = _config(recipe, start)
    network = _network(config, start, seed=recipe.seed)
    if recipe.linear_fit and start is None and not resume:
        tell(Note(text="fitting the linear path: the training starts from a transform codec"))
        _fit_linear_path(network, seed=recipe.seed)
    pictures = _pictures(
        recipe,
        data,
        Loading(
            batch_size=recipe.batch_size,
            workers=recipe.workers,
            rank=process.rank,
            world_size=process.count,
        ),
    )
    if len(pictures.skipped):
        tell(Note(text=f"pictures left out: {pictures.skipped}"))
    training = AutoencoderTraining(network, recipe, samples=_samples(pictures))
    if training.perceptual is not None:
        tell(Note(text=f"perceptual term: {training.perceptual.describe()}"))
    outcome = train(
        training,
        pictures,
        recipe.engine_settings(),
        RunFolder(out),
        resume=resume,
        on_event=on_event,
    )
    if process.is_main:
        weights = {name.removeprefix(_PREFIX): tensor for name, tensor in outcome.weights.items()}
        factor = _kept_scaling_factor(recipe, start)
        if factor is None:
            factor = measure_scaling_factor(
                config,
                weights,
                pictures.for_evaluation(),
                count=recipe.evaluation_images,
                device=process.device,
            )
        write_model(out, config=config, state=weights, scaling_factor=factor)
        if len(pictures.skipped):
            listing = out / "skipped.csv"
            pictures.skipped.write_csv(listing)
            tell(Note(text=f"{listing}: the {len(pictures.skipped)} that were left out, and why"))


class AutoencoderTraining:
    """The losses of one phase, as the engine takes them: L1, a perceptual term, and a GAN."""

    def __init__(self, network: Network, recipe: AutoencoderRecipe, *, samples: Tensor) -> None:
        """Join what the recipe asks for.

        Args:
            network: The autoencoder; its parameters are frozen as the phase says.
            recipe: What to do.
            samples: Pictures (B, 3, H, W) in [-1, 1] that ``sample`` reconstructs.

        Raises:
            ConfigError: The phase asks for more parts than there are.
            WeightsError, HubError: The perceptual term's weights are not there.
        """
        phase_network = PhaseNetwork(
            network,
            Phase(recipe.phase),
            **recipe.trained_ends(),
            checkpoint_activations=recipe.checkpoint_activations,
        )
        adversarial = recipe.losses.adversarial
        perceptual = recipe.losses.perceptual
        self.perceptual = None if perceptual is None else _perceptual(perceptual, side=recipe.size)
        self.modules: dict[str, nn.Module] = {NETWORK: phase_network}
        trained = [parameter for _, parameter in phase_network.trained_parameters()]
        self.optimizers: dict[str, Optimizer] = {NETWORK: adamw(trained, recipe.optimizer)}
        if self.perceptual is not None:
            self.modules["perceptual"] = self.perceptual
        if adversarial is not None:
            discriminator = PatchDiscriminator()
            initialize_discriminator(discriminator, seed=recipe.seed)
            self.modules[DISCRIMINATOR] = discriminator
            self.optimizers[DISCRIMINATOR] = AdamW(
                discriminator.parameters(),
                lr=adversarial.learning_rate,
                betas=adversarial.betas,
                weight_decay=0.0,
            )
        self._network = phase_network
        self._losses = recipe.losses
        self._samples = samples

    def is_active(self, name: str, *, step: int) -> bool:
        """Whether a module moves: the discriminator from its start step on, the network always."""
        adversarial = self._losses.adversarial
        return name != DISCRIMINATOR or (adversarial is not None and step >= adversarial.start_step)

    def backward(self, batch: Tensor, *, step: int, accelerator: Accelerator) -> dict[str, Tensor]:
        """The gradients of both sides for one batch; ``adaptive_weight`` is among the losses to be seen."""
        reconstruction = self.modules[NETWORK](batch)
        losses = {"l1": F.l1_loss(reconstruction, batch)}
        total = self._losses.l1 * losses["l1"]
        if self.perceptual is not None and self._losses.perceptual is not None:
            with accelerator.autocast():
                losses["perceptual"] = self.perceptual(batch, reconstruction)
            total = total + self._losses.perceptual.weight * losses["perceptual"]
        if DISCRIMINATOR in self.modules and self.is_active(DISCRIMINATOR, step=step):
            total = total + self._adversarial(total, reconstruction, losses, accelerator)
        accelerator.backward(total)  # pyright: ignore[reportUnknownMemberType]
        if "adversarial" in losses:
            discriminator = self.modules[DISCRIMINATOR]
            losses["discriminator"] = discriminator_loss(
                discriminator(batch), discriminator(reconstruction.detach())
            )
            accelerator.backward(losses["discriminator"])  # pyright: ignore[reportUnknownMemberType]
        return {name: loss.detach() for name, loss in losses.items()}

    def sample(self, *, accelerator: Accelerator) -> tuple[Tensor, Tensor]:
        """The samples and their reconstructions."""
        images = self._samples.to(accelerator.device)
        network = self.modules[NETWORK]
        network.eval()
        try:
            return images, network(images)
        finally:
            network.train()

    def _adversarial(
        self,
        reconstruction_loss: Tensor,
        reconstruction: Tensor,
        losses: dict[str, Tensor],
        accelerator: Accelerator,
    ) -> Tensor:
        """The generator's term, balanced; the discriminator gets no gradient of it."""
        assert self._losses.adversarial is not None
        # Not the wrapper of several processes, which would wait for gradients that do not come.
        discriminator = cast(
            "nn.Module",
            accelerator.unwrap_model(self.modules[DISCRIMINATOR]),  # pyright: ignore[reportUnknownMemberType]
        )
        discriminator.requires_grad_(requires_grad=False)
        try:
            with accelerator.autocast():
                logits = discriminator(reconstruction)
        finally:
            discriminator.requires_grad_(requires_grad=True)
        losses["adversarial"] = generator_loss(logits.float())
        weight = adaptive_weight(
            reconstruction_loss, losses["adversarial"], self._network.last_weight
        )
        weight = cast("Tensor", accelerator.reduce(weight, reduction="mean"))  # pyright: ignore[reportUnknownMemberType]
        losses["adaptive_weight"] = weight
        return self._losses.adversarial.weight * weight * losses["adversarial"]


def _tell_nobody(_: Event) -> None:
    pass


def _config(recipe: AutoencoderRecipe, start: AutoencoderCheckpoint | None) -> NetworkConfig:
    if start is None:
        if recipe.variant is None:
            raise ConfigError("variant: say what to train from scratch, or --init-from")
        return PRESETS[recipe.variant].config
    problem = crop_size_problem(recipe.size, start.source, start.config.downsample)
    if problem is not None:
        raise ConfigError(problem)
    return start.config


def _network(config: NetworkConfig, start: AutoencoderCheckpoint | None, *, seed: int) -> Network:
    network = build(config)
    if start is None:
        initialize(network, seed=seed)
    else:
        network.load_state_dict(start.state, strict=True)
    return network


def _fit_linear_path(network: Network, *, seed: int) -> None:
    if not isinstance(network, Autoencoder):
        raise ConfigError("linear_fit: only a DC-AE can be fitted; drop it")
    require_linear_fit(network.config)
    fit_linear_path(network, seed=seed)


def _pictures(recipe: AutoencoderRecipe, folder: Path | None, loading: Loading) -> Pictures:
    crop = TrainingCrop(
        size=recipe.size, enlarge=recipe.data.enlarge, min_area=recipe.data.min_area
    )
    if folder is not None:
        return ImageFolderData.open(folder, crop=crop, loading=loading, seed=recipe.seed)
    sources = tuple(
        ShardSource(name=source.name, shards=find_shards(source.shards), weight=source.weight)
        for source in recipe.data.sources
    )
    return ShardData(MixtureSettings(sources=sources, crop=crop, seed=recipe.seed), loading=loading)


def _samples(pictures: Pictures) -> Tensor:
    """The first pictures of the data as evaluation cuts them, the same in a resumed run."""
    images, _ = next(pictures.for_evaluation().batches({}))
    return images[:_SAMPLES]


def _perceptual(recipe: PerceptualRecipe, *, side: int) -> Perceptual:
    if recipe.kind == "structure":
        return Structure(side=side)
    if recipe.vgg is not None:
        return LPIPS.load(recipe.vgg)
    try:
        return LPIPS.load(fetch_vgg16())
    except HubError as error:
        raise HubError(
            f"{error}. LPIPS needs these weights; two ways on: losses.perceptual.vgg=PATH of torchvision's "
            "vgg16-397923af.pth, or losses.perceptual.kind=structure, which needs none"
        ) from error


def _kept_scaling_factor(
    recipe: AutoencoderRecipe, start: AutoencoderCheckpoint | None
) -> float | None:
    """That of the weights which the run began with, where the phase leaves the latents as they are.

    A transformer that was trained on them goes on fitting.
    """
    if start is None or Phase(recipe.phase) is not Phase.LOCAL_REFINEMENT:
        return None
    return start.config.scaling_factor
