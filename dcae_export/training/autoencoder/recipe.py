"""What a recipe of an autoencoder's training says, as YAML."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dcae_export.models.presets import PRESETS
from dcae_export.training.engine.settings import EngineSettings
from dcae_export.training.recipe_sections import (
    Betas,
    Count,
    Rate,
    Section,
    TrainingRecipe,
    Variant,
    Weight,
    crop_size_problem,
)

PhaseName = Literal["full", "latent-adaptation", "local-refinement"]

# How many parts train is said for the ends of the networks that a phase trains.
_ENDS: dict[PhaseName, tuple[str, ...]] = {
    "full": (),
    "latent-adaptation": ("encoder_head", "decoder_input"),
    "local-refinement": ("decoder_head",),
}

Share = Annotated[float, Field(gt=0, le=1)]


class PerceptualRecipe(Section):
    """The perceptual term of the loss.

    ``lpips`` (arXiv 1801.03924) needs the weights of VGG-16: ``vgg`` is the path of torchvision's published
    vgg16-397923af.pth, and without it the same weights come from the hub. ``structure`` is multi-scale SSIM with
    differences of gradients, and needs none.
    """

    weight: Weight
    kind: Literal["lpips", "structure"] = "lpips"
    vgg: Path | None = None

    @model_validator(mode="after")
    def _gives_weights_where_they_are_used(self) -> "PerceptualRecipe":
        if self.kind == "structure" and self.vgg is not None:
            raise ValueError("vgg goes with the kind lpips; structure needs no weights")
        return self


class AdversarialRecipe(Section):
    """PatchGAN with hinge losses: the discriminator trains, and its term counts, from ``start_step`` on.

    ``weight`` multiplies the weight that makes the term's gradient as large as the reconstruction's (arXiv
    2012.09841, equation 7). ``learning_rate`` and ``betas`` are the discriminator's.
    """

    weight: Annotated[float, Field(gt=0)]
    start_step: Annotated[int, Field(ge=0)] = 0
    learning_rate: Rate
    betas: Betas = (0.5, 0.9)


class LossesRecipe(Section):
    """The weights of the terms; a term that is left out is not computed."""

    l1: Weight = 1.0
    perceptual: PerceptualRecipe | None = None
    adversarial: AdversarialRecipe | None = None

    @model_validator(mode="after")
    def _has_a_reconstruction_term(self) -> "LossesRecipe":
        if not self.l1 and (self.perceptual is None or not self.perceptual.weight):
            raise ValueError("l1 or perceptual.weight must be above 0, or nothing is reconstructed")
        return self


class SourceRecipe(Section):
    """WebDataset shards of one data set, and the set's share of the samples, relative to the others' weights.

    ``shards`` is a folder of .tar files, or a path or an http address, with a range in braces where there are
    several: ``images/{000000..000999}.tar``.
    """

    name: str
    shards: str
    weight: Annotated[float, Field(gt=0)]


class DataRecipe(Section):
    """Where pictures come from and how they are cropped.

    Without ``sources``, a folder is named on the command line. ``min_area`` is the smallest share of a picture's
    largest square that a crop for training shows. Pictures with a side below ``size`` are skipped, unless they are
    to be enlarged.
    """

    sources: tuple[SourceRecipe, ...] = ()
    min_area: Share = 0.25
    enlarge: bool = False


class AutoencoderRecipe(TrainingRecipe):
    """One training of an autoencoder, in one of the phases of DC-AE (arXiv 2410.10733).

    Phase ``full`` trains everything; ``latent-adaptation`` the last ``encoder_head`` parts of the encoder and the
    first ``decoder_input`` of the decoder; ``local-refinement`` the last ``decoder_head`` parts of the decoder. A
    part is a block, a change of resolution, or the convolution at an end.

    ``init_from`` is what ``--weights`` takes. Without ``variant`` its weights say what is trained. ``size`` is the
    side of the crops in pixels. ``linear_fit`` starts a training from scratch from a fitted linear path (see
    ``linear_fit.py``) and not from a random one. Without ``sample_every`` no samples are drawn. ``evaluation_images`` pictures are
    reconstructed at the end, and their latents give the scaling factor.
    """

    variant: Variant | None = None
    linear_fit: bool = False
    phase: PhaseName
    encoder_head: Count | None = None
    decoder_input: Count | None = None
    decoder_head: Count | None = None
    size: Count
    workers: Annotated[int, Field(ge=0)] = 2
    losses: LossesRecipe
    data: DataRecipe = DataRecipe()
    sample_every: Count | None = 1000
    evaluation_images: Count = 256

    def engine_settings(self) -> EngineSettings:
        """The same as the engine takes it."""
        return dataclasses.replace(super().engine_settings(), sample_every=self.sample_every)

    def trained_ends(self) -> dict[str, int]:
        """How many parts train at each end of the networks that the phase trains; empty where all do."""
        counts = {end: getattr(self, end) for end in _ENDS[self.phase]}
        return {end: count for end, count in counts.items() if isinstance(count, int)}

    @model_validator(mode="after")
    def _fits_the_variant(self) -> "AutoencoderRecipe":
        if self.variant is not None:
            problem = crop_size_problem(
                self.size, self.variant, PRESETS[self.variant].config.downsample
            )
            if problem is not None:
                raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _says_how_many_parts_train(self) -> "AutoencoderRecipe":
        wanted = _ENDS[self.phase]
        for end in ("encoder_head", "decoder_input", "decoder_head"):
            is_given = getattr(self, end) is not None
            if is_given and end not in wanted:
                raise ValueError(
                    f"{end}: phase {self.phase} does not choose its parts by it; drop it"
                )
            if not is_given and end in wanted:
                raise ValueError(f"{end}: phase {self.phase} needs it: how many parts train there")
        return self

    @model_validator(mode="after")
    def _keeps_the_discriminator_out_of_the_adaptation(self) -> "AutoencoderRecipe":
        adversarial = self.losses.adversarial
        if adversarial is None:
            return self
        if self.phase == "latent-adaptation":
            raise ValueError(
                "losses.adversarial: phase latent-adaptation moves the latent, and a GAN is kept out of it; "
                "it belongs to phase local-refinement, or to phase full"
            )
        if adversarial.start_step >= self.steps:
            raise ValueError(
                f"losses.adversarial.start_step: {adversarial.start_step} is never reached in "
                f"{self.steps} steps"
            )
        return self
