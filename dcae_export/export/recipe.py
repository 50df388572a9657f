"""What a recipe of an export says: the options of ``dcae export``, as YAML."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

import dcae_export
from dcae_export.export.options import ExportOptions, SimplifierName
from dcae_export.export.target import TargetName

_SIZE = re.compile(r"(?P<width>[1-9][0-9]{0,5})(x(?P<height>[1-9][0-9]{0,5}))?")


def find_recipe(name: str) -> Path:
    """The file of a recipe: a path, or the name of one that comes with this package."""
    shipped = shipped_recipes().get(name)
    return shipped if shipped is not None and not Path(name).exists() else Path(name)


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with this package, by name."""
    folder = Path(dcae_export.__file__).parent / "recipes" / "export"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) from ``512``, which is square, or ``WIDTHxHEIGHT``.

    Raises:
        ValueError: It is neither.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("a size is 512 for a square, or WIDTHxHEIGHT as in 2048x1024")
    width = int(match["width"])
    return int(match["height"] or width), width


def _size(value: object) -> object:
    return parse_size(str(value)) if type(value) in (int, str) else value


class ExportRecipe(BaseModel):
    """One export. What is left out is what the command line leaves out.

    ``variant`` may be left out where ``weights`` tells it; ``out`` is a folder named after the variant then.
    ``size`` is (height, width), written as 512 or WIDTHxHEIGHT; without it the graphs take any size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: str | None = None
    weights: str | None = None
    out: str | None = None
    target: TargetName = "generic"
    size: Annotated[tuple[int, int] | None, BeforeValidator(_size)] = None
    batch: Annotated[int, Field(ge=1)] | None = None
    image_io: bool = False
    simplifier: SimplifierName = "onnxsim"
    single_file: bool = False

    def options(self) -> ExportOptions:
        """The options of the graphs themselves.

        Raises:
            UsageError: Two of them contradict each other.
        """
        return ExportOptions(
            target=self.target,
            size=self.size,
            batch=self.batch,
            image_io=self.image_io,
            simplifier=self.simplifier,
            single_file=self.single_file,
        )
