"""The recipe of a run: kept in its folder, and compared when the run goes on."""

import json
import secrets
import shutil
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

from dcae_export.errors import ConfigError, InputError
from dcae_export.files.folder_swap import sync_folder
from dcae_export.files.whole_file import whole_file
from dcae_export.models.finished_run import RECIPE_NAME, TRANSFORMER_NAME
from dcae_export.training.recipe_sections import Section
from dcae_export.yaml_file import dump, load

# They say how long a run goes on and what it shows, not what it computes.
CHANGEABLE = ("steps", "checkpoint_every", "sample_every")
# What a run has before its first step.
_FIRST_FILES = (Path(RECIPE_NAME), Path(TRANSFORMER_NAME))

AnyRecipe = TypeVar("AnyRecipe", bound=Section)


@contextmanager
def started_run(run: Path, recipe: Section) -> Generator[None]:
    """Make the folder of a run; it appears with its recipe or not at all.

    Where the context is left by an error before the run has anything to show or to resume, it goes again.

    Raises:
        InputError: It exists, or cannot be made.
        ResourceError: The disk is full.
    """
    if run.exists():
        raise InputError(f"{run}: exists; go on with it by --resume, or choose another --out")
    staging = run.with_name(f".{run.name}.{secrets.token_hex(4)}.partial")
    try:
        staging.mkdir(parents=True)
        _store(staging, recipe)
        # Unlike a swap, this fails where another process has made the folder meanwhile.
        staging.rename(run)
        sync_folder(run.parent)
    except OSError as error:
        raise InputError(f"{run}: cannot be made: {error.strerror}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    try:
        yield
    except BaseException:
        if _is_bare(run):
            shutil.rmtree(run, ignore_errors=True)
        raise


@contextmanager
def resumed_run(run: Path, recipe: Section) -> Generator[None]:
    """Keep what may have changed in a run's recipe.

    Raises:
        InputError: It cannot be written.
        ResourceError: The disk is full.
    """
    _store(run, recipe)
    yield


def stored_recipe(run: Path, kind: type[AnyRecipe]) -> AnyRecipe:
    """The recipe of a run, which has to be of this kind.

    Raises:
        InputError: The folder is that of no run.
        ConfigError: The recipe is malformed, or of another kind.
    """
    path = run / RECIPE_NAME
    if not path.is_file():
        raise InputError(
            f"{run}: holds no {RECIPE_NAME}, so there is no run to resume; drop --resume"
        )
    return load(path, kind)


def require_same_recipe(run: Path, *, stored: AnyRecipe, asked: AnyRecipe) -> None:
    """Check that a run goes on as it began; ``CHANGEABLE`` may differ.

    Raises:
        ConfigError: Another key differs; the message names all that do, and both values of each.
    """
    before, now = _flat(stored), _flat(asked)
    differing = [
        key
        for key in dict.fromkeys((*before, *now))
        if key not in CHANGEABLE and before.get(key) != now.get(key)
    ]
    if differing:
        changes = (
            f"{key} is {_text(before, key)} in the run, {_text(now, key)} in this recipe"
            for key in differing
        )
        changeable = (one for one in CHANGEABLE if one in type(asked).model_fields)
        raise ConfigError(
            f"{run}: {'; '.join(changes)}; "
            f"only {', '.join(changeable)} may change, --out names another run"
        )


def _flat(recipe: Section) -> dict[str, object]:
    return dict(_leaves(recipe.model_dump(mode="json"), ""))


def _leaves(content: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _leaves(cast("dict[str, object]", value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(flat: Mapping[str, object], key: str) -> str:
    return json.dumps(flat[key]) if key in flat else "absent"


def _is_bare(run: Path) -> bool:
    """Whether a run has nothing but what it begins with; locks and what is being staged have hidden names."""
    files = (path.relative_to(run) for path in run.rglob("*") if path.is_file())
    shown = (file for file in files if not any(part.startswith(".") for part in file.parts))
    return all(file in _FIRST_FILES for file in shown)


def _store(run: Path, recipe: Section) -> None:
    with whole_file(run / RECIPE_NAME, force=True) as file:
        file.write(dump(recipe).encode())
