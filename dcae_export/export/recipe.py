"""What a recipe of an export says: the options of ``dcae export``, as YAML."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dcae_export.export.options import ExportOptions, SimplifierName, parse_size
from dcae_export.export.precision import PrecisionName
from dcae_export.export.target import TargetName


def _size(value: object) -> object:
    return parse_size(str(value)) if type(value) in (int, str) else value


class ExportRecipe(BaseModel):
    """One export. What is left out is what the command line leaves out.

    ``variant`` may be left out where ``weights`` tells it; ``out`` is a folder named after the variant then.
    ``size`` is (height, width), written as 512 or WIDTHxHEIGHT; without it the graphs take any size.
    ``transformer`` adds a diffusion transformer; its weights are in ``weights`` where those hold both networks. It may
    be left out where ``transformer_weights`` tell it, as those of a training run do.
    ``class_names`` is a text file with one name a line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: str | None = None
    weights: str | None = None
    out: str | None = None
    target: TargetName = "generic"
    precision: PrecisionName = "fp32"
    size: Annotated[tuple[int, int] | None, BeforeValidator(_size)] = None
    batch: Annotated[int, Field(ge=1)] | None = None
    image_io: bool = False
    simplifier: SimplifierName = "onnxsim"
    single_file: bool = False
    interpolate_positions: Annotated[tuple[int, int] | None, BeforeValidator(_size)] = None
    transformer: str | None = None
    transformer_weights: str | None = None
    samplers: tuple[str, ...] = ()
    class_names: Path | None = None

    def options(self) -> ExportOptions:
        """The options of the graphs themselves.

        Raises:
            UsageError: Two of them contradict each other.
        """
        return ExportOptions(
            target=self.target,
            precision=self.precision,
            size=self.size,
            batch=self.batch,
            image_io=self.image_io,
            simplifier=self.simplifier,
            single_file=self.single_file,
            interpolate_positions=self.interpolate_positions,
        )
