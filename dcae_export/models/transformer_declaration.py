"""What config.json says of a transformer that was trained here: everything but its weights."""

import json
from typing import Annotated, Literal, Self, assert_never

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from dcae_export.class_name import ClassName
from dcae_export.errors import ConfigError, WeightsError
from dcae_export.models.dit import MAX_POSITIONS, DiTConfig
from dcae_export.models.latent_source import LatentSource
from dcae_export.models.tensor_files import MAX_JSON_BYTES
from dcae_export.models.uvit import UViTConfig
from dcae_export.sampling.schedule import Diffusion, Schedule

FORMAT_VERSION = 1
_KIND = "network"

# A network is built before its weights are read, so a stranger's numbers are bounded: far above what is published.
_Width = Annotated[int, Field(ge=1, le=2**16)]
_Depth = Annotated[int, Field(ge=1, le=2**10)]
_Side = Annotated[int, Field(ge=1, le=MAX_POSITIONS)]
_Grid = tuple[_Side, _Side]
_Classes = Annotated[int, Field(ge=1, le=2**24)]
Guidance = Annotated[float, Field(ge=1, le=1000)]


class _Part(BaseModel):
    """Frozen, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Schedule(_Part):
    kind: Literal["linear", "scaled_linear", "flow"]
    beta_start: float | None
    beta_end: float | None
    train_steps: int
    shift: float


class TransformerDeclaration(_Part):
    """Network, diffusion, sampling, classes and autoencoder of a transformer; keys as in ``TransformerCheckpoint``.

    ``class_names`` are in the order of the labels; None where there are no classes. ``grid`` is that of a U-ViT's own
    positions; ``other_grids`` are those that its training has seen as well, and left out where there are none.
    """

    format_version: Literal[1]
    network: Literal["dit", "uvit"]
    in_channels: _Width
    patch: _Side
    depth: _Depth
    width: _Width
    heads: _Width
    num_classes: _Classes | None
    grid: _Grid
    other_grids: tuple[_Grid, ...] = ()
    prediction: Literal["epsilon", "velocity", "x0"]
    learned_variance: bool
    schedule: _Schedule
    default_sampler: str
    default_guidance: Guidance
    class_names: Annotated[tuple[ClassName, ...], Field(fail_fast=True)] | None
    autoencoder: LatentSource

    @classmethod
    def of(  # noqa: PLR0913 - one argument for each thing that is said
        cls,
        config: DiTConfig | UViTConfig,
        diffusion: Diffusion,
        *,
        default_sampler: str,
        default_guidance: float,
        class_names: tuple[str, ...] | None,
        autoencoder: LatentSource,
        other_grids: tuple[tuple[int, int], ...] = (),
    ) -> Self:
        """What is said of a network.

        Raises:
            ConfigError: Something cannot be said: a class name that cannot be printed, a size without bounds.
        """
        parts = diffusion.schedule
        try:
            declaration = cls(
                format_version=FORMAT_VERSION,
                network=_kind(config),
                in_channels=config.in_channels,
                patch=config.patch,
                depth=config.depth,
                width=config.width,
                heads=config.heads,
                num_classes=config.num_classes,
                grid=config.grid,
                other_grids=other_grids,
                prediction=diffusion.prediction,
                learned_variance=diffusion.learned_variance,
                schedule=_Schedule(
                    kind=parts.kind,
                    beta_start=parts.beta_start,
                    beta_end=parts.beta_end,
                    train_steps=parts.train_steps,
                    shift=parts.shift,
                ),
                default_sampler=default_sampler,
                default_guidance=default_guidance,
                class_names=class_names,
                autoencoder=autoencoder,
            )
        except ValidationError as error:
            raise ConfigError(_first_fault(error)) from error
        if len(json.dumps(declaration.content(), indent=2)) > MAX_JSON_BYTES:
            raise ConfigError(
                f"class_names: more than {MAX_JSON_BYTES} bytes; shorten the names of the class folders"
            )
        return declaration

    @classmethod
    def read(cls, content: dict[str, object]) -> Self:
        """What a config.json says.

        Raises:
            WeightsError: It is malformed or of a newer format; the message names no file.
        """
        version = content.get("format_version")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise WeightsError(
                f"format {version} of config.json is newer than {FORMAT_VERSION}; update dcae-export"
            )
        try:
            # By way of JSON: strict about types, yet a list may become a tuple.
            return cls.model_validate_json(json.dumps(content), strict=True)
        except ValidationError as error:
            raise WeightsError(f"config.json: {_first_fault(error)}") from error

    def content(self) -> dict[str, object]:
        """The content of config.json."""
        return self.model_dump(mode="json", exclude=None if self.other_grids else {"other_grids"})

    def config(self) -> DiTConfig | UViTConfig:
        """The network's configuration."""
        match self.network:
            case "dit":
                return DiTConfig(
                    in_channels=self.in_channels,
                    patch=self.patch,
                    depth=self.depth,
                    width=self.width,
                    heads=self.heads,
                    num_classes=self.num_classes,
                    grid=self.grid,
                    learned_variance=self.learned_variance,
                )
            case "uvit":
                return UViTConfig(
                    in_channels=self.in_channels,
                    patch=self.patch,
                    depth=self.depth,
                    width=self.width,
                    heads=self.heads,
                    num_classes=self.num_classes,
                    grid=self.grid,
                )
            case _:
                assert_never(self.network)

    def diffusion(self) -> Diffusion:
        """What the network predicts, and over which schedule."""
        return Diffusion(
            prediction=self.prediction,
            learned_variance=self.learned_variance,
            schedule=Schedule(**self.schedule.model_dump()),
        )

    @model_validator(mode="after")
    def _says_what_can_be(self) -> Self:
        try:
            self.config()
            self.diffusion()
        except ConfigError as error:
            raise ValueError(str(error)) from error
        if self.network == "uvit" and self.learned_variance:
            raise ValueError("learned_variance: a U-ViT has no channels for it")
        return self

    @model_validator(mode="after")
    def _lists_grids_once(self) -> Self:
        grids = (self.grid, *self.other_grids)
        if len(set(grids)) < len(grids):
            raise ValueError("other_grids: one is there twice, or is that of the network")
        if any(side % self.patch for grid in self.other_grids for side in grid):
            raise ValueError(f"other_grids: a side is no multiple of patch {self.patch}")
        return self

    @model_validator(mode="after")
    def _names_every_class(self) -> Self:
        if self.class_names is not None and len(self.class_names) != self.num_classes:
            raise ValueError(
                f"class_names: {len(self.class_names)} for {self.num_classes or 0} classes"
            )
        return self


def is_declaration(content: dict[str, object]) -> bool:
    """Whether a config.json is of this form, well made or not."""
    return _KIND in content


def _kind(config: DiTConfig | UViTConfig) -> Literal["dit", "uvit"]:
    return "dit" if isinstance(config, DiTConfig) else "uvit"


def _first_fault(error: ValidationError) -> str:
    first, *_ = error.errors(include_url=False, include_input=False)
    key = ".".join(str(part) for part in first["loc"])
    fault = first["msg"].removeprefix("Value error, ")
    return f"{key}: {fault}" if key else fault
