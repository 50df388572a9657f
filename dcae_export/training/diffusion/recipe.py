"""What a recipe of a diffusion transformer's training says, as YAML."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dcae_export.errors import ConfigError
from dcae_export.models.transformer_declaration import Guidance
from dcae_export.models.transformer_presets import BACKBONES, Backbone, Family, configure
from dcae_export.training.recipe_sections import (
    Count,
    Section,
    TrainingRecipe,
    Variant,
)

FamilyName = Literal["dit", "uvit", "usit"]
_FAMILIES: dict[FamilyName, Family] = {
    "dit": Family.DIT,
    "uvit": Family.UVIT,
    "usit": Family.USIT,
}
_NAMES = {family: name for name, family in _FAMILIES.items()}


class TransformerRecipe(Section):
    """The size of a network and what it learns to predict; the name of a backbone stands for its section.

    A ``dit`` learns noise and variance, a ``uvit`` noise, a ``usit``, the network of U-ViT, velocity. ``guidance`` is
    the weight that a bundle samples with unless told otherwise.
    """

    family: FamilyName
    depth: Count
    width: Count
    heads: Count
    guidance: Guidance = 1.5

    def backbone(self) -> Backbone:
        """The same as the presets say it."""
        return Backbone(
            family=_FAMILIES[self.family],
            depth=self.depth,
            width=self.width,
            heads=self.heads,
            guidance=self.guidance,
        )

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, content: object) -> object:
        if not isinstance(content, str):
            return content
        if content not in BACKBONES:
            raise ValueError(
                f"unknown transformer {content!r}; there are {', '.join(BACKBONES)}, "
                "or family, depth, width and heads"
            )
        backbone = BACKBONES[content]
        return {
            "family": _NAMES[backbone.family],
            "depth": backbone.depth,
            "width": backbone.width,
            "heads": backbone.heads,
            "guidance": backbone.guidance,
        }

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        try:
            configure(self.backbone(), channels=1, grid=(1, 1), patch=1, num_classes=None)
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("transformer: ")) from error
        return self


class DiffusionRecipe(TrainingRecipe):
    """One training of a diffusion transformer on a folder of latents, which says channels, grid and classes.

    Of several folders, each of another size, ``batch_size`` is that of the first; of the others a batch holds as many
    latents as have no more tokens than those of the first, and at least 1.
    With ``autoencoder`` the latents have to be of that one; those of weights of one's own have to be of its shape.
    ``patch`` is the side of a token in positions of the latent; without it 1, and 2 on latents of sd-f8. A label
    becomes the null class with the probability ``class_dropout``; ``unconditional`` leaves labels out altogether.
    ``init_from`` is a transformer's checkpoint of the same sizes.
    """

    transformer: TransformerRecipe
    autoencoder: Variant | None = None
    patch: Count | None = None
    unconditional: bool = False
    class_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
