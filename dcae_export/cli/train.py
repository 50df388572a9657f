"""``dcae train``."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcae_export.cli.command import Group, command_with, verbose_option
from dcae_export.cli.console import finite, json_option, print_json
from dcae_export.cli.progress import Progress
from dcae_export.errors import InputError, UsageError

if TYPE_CHECKING:
    from dcae_export.training.events import Event, StepDone
    from dcae_export.training.recipe import AutoencoderRecipe

_EXAMPLES = (
    "dcae train autoencoder fine-tune --data pictures/ --out runs/mine",
    "dcae train autoencoder f64-phase1 --data pictures/ --out runs/f64 --set batch_size=4",
    "dcae train autoencoder f64-phase2 --data pictures/ --out runs/f64-2 --init-from runs/f64",
    "dcae train autoencoder f64-phase1 --data pictures/ --out runs/f64 --resume",
)
_SETTING = re.compile(r"(?P<key>[a-z0-9_]+(\.[a-z0-9_]+)*)=(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    """What the command line asks for."""

    recipe: str
    settings: dict[str, str]
    data: Path | None
    out: Path
    init_from: str | None
    resume: bool


@click.group(name="train", cls=Group)
def command() -> None:
    """Train an autoencoder on pictures, from scratch or from published weights."""


command.examples = _EXAMPLES
command.params.append(verbose_option())


@command_with(name="autoencoder", examples=_EXAMPLES)
@click.argument("recipe", metavar="RECIPE")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="A folder of pictures.  [default: the shards that the recipe names]",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="RUN", help="The run's folder."
)
@click.option(
    "--init-from",
    metavar="RUN|PATH|ORG/NAME|random:SEED",
    help="Weights to start from.  [default: the recipe's; a full training needs none]",
)
@click.option("--resume", is_flag=True, help="Go on with RUN from its last checkpoint.")
@click.option("--steps", type=click.IntRange(min=1), help="In place of the recipe's.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="In place of the recipe's, as in optimizer.learning_rate=1e-5.",
)
@json_option
def autoencoder(  # noqa: PLR0913 - one argument for each option
    *,
    recipe: str,
    data: Path | None,
    out: Path,
    init_from: str | None,
    resume: bool,
    steps: int | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Train an autoencoder as RECIPE says, a file or a name of `dcae recipes list`.

    RUN gets checkpoints, losses and samples, and at the last step a model that `dcae export --weights RUN` takes.
    """
    request = _Request(
        recipe=recipe,
        settings=_parsed(settings) | ({} if steps is None else {"steps": str(steps)}),
        data=data,
        out=out,
        init_from=init_from,
        resume=resume,
    )
    _require_packages()
    with Progress("importing PyTorch"):
        chosen = _chosen(request)
    _require_pictures(request, chosen)
    if chosen.phase != "full" and chosen.init_from is None:
        raise UsageError(
            f"phase {chosen.phase} changes a part of weights that are there: --init-from names them, "
            "a run of the phase before or a repository; random:SEED is for a dry run"
        )
    if _is_main_process():
        _print_result(request.out, _train_and_tell(chosen, request), as_json=as_json)
    else:
        _train(chosen, request, on_event=_ignore)


command.add_command(autoencoder)


def _parsed(settings: tuple[str, ...]) -> dict[str, str]:
    matches = {setting: _SETTING.fullmatch(setting) for setting in settings}
    malformed = [setting for setting, match in matches.items() if match is None]
    if malformed:
        raise UsageError(
            f"--set {malformed[0]}: is no KEY=VALUE, as in optimizer.learning_rate=1e-5"
        )
    return {match["key"]: match["value"] for match in matches.values() if match is not None}


def _require_packages() -> None:
    """Fail where the packages for training are missing, before seconds are spent on PyTorch."""
    if find_spec("accelerate") is None:
        raise ModuleNotFoundError("No module named 'accelerate'", name="accelerate")


def _chosen(request: _Request) -> "AutoencoderRecipe":
    """The recipe with what the command line changes; of a run that goes on, checked against its own."""
    from dcae_export.recipe_files import find_recipe
    from dcae_export.training.recipe import AutoencoderRecipe
    from dcae_export.training.run_recipe import require_same, stored_recipe
    from dcae_export.yaml_file import load

    path = find_recipe(request.recipe, kind="train")
    recipe = load(path, AutoencoderRecipe, overrides=request.settings)
    init_from = request.init_from or recipe.init_from
    if not request.resume:
        return recipe.model_copy(update={"init_from": init_from})
    stored = stored_recipe(request.out)
    # It need not be said again: a run without a checkpoint starts from where it started.
    init_from = request.init_from or stored.init_from
    recipe = recipe.model_copy(update={"init_from": init_from})
    require_same(request.out, stored=stored, asked=recipe)
    return recipe


def _require_pictures(request: _Request, recipe: "AutoencoderRecipe") -> None:
    data = request.data
    if data is None:
        if not recipe.data.sources:
            raise UsageError("say which pictures: --data FOLDER, or data.sources in the recipe")
        return
    if recipe.data.sources:
        raise UsageError(f"{request.recipe}: names its pictures in data.sources; drop --data")
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; --data names a folder of pictures")
    if request.out.resolve().is_relative_to(data.resolve()):
        raise UsageError(
            f"{request.out}: lies in {data}, so its samples would be trained on; choose another --out"
        )


def _is_main_process() -> bool:
    """Whether this process is the one that keeps the run's folder, as launchers number them."""
    return os.environ.get("RANK", "0") == "0"


def _train_and_tell(recipe: "AutoencoderRecipe", request: _Request) -> "StepDone | None":
    """Train in the main process: the newest step that was done, None where all were done before."""
    from dcae_export.cli.training_progress import TrainingProgress
    from dcae_export.training.report import RunReport
    from dcae_export.training.run_recipe import resumed_run, started_run

    out = request.out
    with (
        resumed_run(out, recipe) if request.resume else started_run(out, recipe),
        TrainingProgress() as progress,
        RunReport(out, note=progress.note) as report,
    ):

        def on_event(event: "Event") -> None:
            report(event)
            progress(event)

        _train(recipe, request, on_event=on_event)
    return progress.last


def _train(
    recipe: "AutoencoderRecipe", request: _Request, *, on_event: Callable[["Event"], None]
) -> None:
    from dcae_export.training.autoencoder_training import train_autoencoder

    train_autoencoder(
        recipe,
        data=request.data,
        out=request.out,
        init_from=recipe.init_from,
        resume=request.resume,
        on_event=on_event,
    )


def _ignore(_: "Event") -> None:
    """Leave telling to the main process."""


def _print_result(run: Path, last: "StepDone | None", *, as_json: bool) -> None:
    from dcae_export.models.checkpoint_folder import CONFIG_NAME
    from dcae_export.models.finished_run import model_of
    from dcae_export.models.tensor_files import read_json_object

    model = model_of(run)
    scaling_factor = read_json_object(model / CONFIG_NAME).get("scaling_factor")
    if as_json:
        losses = {} if last is None else last.losses
        print_json(
            {
                "run": str(run),
                "model": str(model),
                "scaling_factor": scaling_factor,
                "step": None if last is None else last.step,
                "losses": {name: finite(loss) for name, loss in losses.items()},
                "images_per_second": None if last is None else finite(last.images_per_second),
                "skipped": None if last is None else last.skipped,
            }
        )
        return
    done = "no step was left" if last is None else f"{last.step} steps"
    click.echo(f"{run}: {done}, scaling factor {scaling_factor}; next: dcae-export --weights {run}")
