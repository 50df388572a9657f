"""The recipes that come with this package, by what they are for."""

import difflib
from pathlib import Path
from typing import Literal, get_args

from dcae_export.errors import ConfigError

Kind = Literal["export", "train"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_FOLDER = Path(__file__).parent / "recipes"


def shipped_recipes(kind: Kind) -> dict[str, Path]:
    """The shipped recipes of a kind, by name."""
    return {path.stem: path for path in sorted((_FOLDER / kind).glob("*.yaml"))}


def find_recipe(name: str, *, kind: Kind) -> Path:
    """The file of a recipe: a path, or the name of a shipped one; a file of that name goes first.

    Raises:
        ConfigError: There is neither; the message names the shipped one that is nearest, and what lists them.
    """
    shipped = shipped_recipes(kind)
    # A folder does not: a run may well be named after its recipe.
    if Path(name).is_file():
        return Path(name)
    if name not in shipped:
        near = difflib.get_close_matches(name, shipped, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(
            f"{name}: no such file, nor a recipe of this package to {kind}; {hint}`dcae recipes list` "
            "lists them"
        )
    return shipped[name]


def summary(recipe: Path) -> str:
    """What a shipped recipe is for: the comment in its first line."""
    first, *_ = recipe.read_text(encoding="utf-8").splitlines()
    return first.removeprefix("#").strip()
