"""What the commands of ``dcae train`` share: a run that a command line asks for, carried out and told of."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from dcae_export.cli.console import finite, json_option
from dcae_export.cli.option_types import WholeNumber
from dcae_export.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from dcae_export.training.engine.events import Event, StepDone
    from dcae_export.training.recipe_sections import TrainingRecipe

Command = Callable[..., None]
Train = Callable[[Callable[["Event"], None]], None]
AnyRecipe = TypeVar("AnyRecipe", bound="TrainingRecipe")

_SETTING = re.compile(r"(?P<key>[a-z0-9_]+(\.[a-z0-9_]+)*)=(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What every training's command line asks for; ``settings`` are YAML by the recipe's keys."""

    recipe: str
    settings: dict[str, str]
    out: Path
    init_from: str | None
    resume: bool

    @classmethod
    def parse(
        cls,
        *,
        recipe: str,
        out: Path,
        init_from: str | None,
        resume: bool,
        steps: int | None,
        settings: tuple[str, ...],
    ) -> "Request":
        """The request of the options as click gives them.

        Raises:
            UsageError: A setting is no KEY=VALUE, or a key is set more than once.
        """
        parsed: dict[str, str] = {} if steps is None else {"steps": str(steps)}
        for setting in settings:
            match = _SETTING.fullmatch(setting)
            if match is None:
                raise UsageError(
                    f"--set {setting}: is no KEY=VALUE, as in optimizer.learning_rate=1e-5"
                )
            if match["key"] in parsed:
                raise UsageError(f"--set {match['key']}: is given more than once")
            parsed[match["key"]] = match["value"]
        return cls(
            recipe=recipe,
            settings=parsed,
            out=out,
            init_from=init_from,
            resume=resume,
        )


def out_option(command: Command) -> Command:
    """``--out``."""
    return click.option(
        "--out",
        type=click.Path(path_type=Path),
        required=True,
        metavar="RUN",
        help="The run's folder.",
    )(command)


def course_options(command: Command) -> Command:
    """``--resume``, ``--steps``, ``--set`` and ``--json``."""
    options = (
        click.option("--resume", is_flag=True, help="Go on with RUN from its last checkpoint."),
        click.option("--steps", type=WholeNumber(min=1), help="In place of the recipe's."),
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="KEY=VALUE",
            help="In place of the recipe's, as in optimizer.learning_rate=1e-5.",
        ),
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def require_packages() -> None:
    """Fail where the packages for training are missing, before seconds are spent on PyTorch."""
    if find_spec("accelerate") is None:
        raise ModuleNotFoundError("No module named 'accelerate'", name="accelerate")


def chosen_recipe(request: Request, kind: type[AnyRecipe]) -> AnyRecipe:
    """The recipe with what the command line changes; of a run that goes on, checked against its own."""
    from dcae_export.recipe_files import find_recipe
    from dcae_export.training.run_recipe import require_same_recipe, stored_recipe
    from dcae_export.yaml_file import load

    path = find_recipe(request.recipe, kind="train")
    try:
        recipe = load(path, kind, overrides=request.settings)
    except (ConfigError, UsageError):
        _refuse_another_kind(path, kind)
        raise
    init_from = request.init_from or recipe.init_from
    if not request.resume:
        return recipe.model_copy(update={"init_from": init_from})
    stored = stored_recipe(request.out, kind)
    # It need not be said again: a run without a checkpoint starts from where it started.
    init_from = request.init_from or stored.init_from
    recipe = recipe.model_copy(update={"init_from": init_from})
    require_same_recipe(request.out, stored=stored, asked=recipe)
    return recipe


def carry_out(
    request: Request,
    recipe: "TrainingRecipe",
    train: Train,
    *,
    print_result: "Callable[[StepDone | None], None]",
) -> None:
    """Train; the main process keeps the run's folder, and tells.

    Args:
        request: Where the run is, and whether it goes on.
        recipe: What is stored there.
        train: The training; is given what it tells its events.
        print_result: Is told the newest step that was done, None where all were done before.
    """
    if not _is_main_process():
        train(_ignore)
        return
    from dcae_export.cli.commands.train.progress import TrainingProgress
    from dcae_export.training.report.run_report import RunReport
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

        train(on_event)
    print_result(progress.last)


def last_step(last: "StepDone | None") -> dict[str, object]:
    """A run's last step as ``--json`` tells it."""
    losses = {} if last is None else last.losses
    return {
        "step": None if last is None else last.step,
        "losses": {name: finite(loss) for name, loss in losses.items()},
        "samples_per_second": None if last is None else finite(last.samples_per_second),
        "skipped": None if last is None else last.skipped,
    }


def _refuse_another_kind(path: Path, kind: "type[TrainingRecipe]") -> None:
    """Say so where a recipe that cannot be read is one of the other command."""
    from dcae_export.training.autoencoder.recipe import AutoencoderRecipe
    from dcae_export.training.diffusion.recipe import DiffusionRecipe
    from dcae_export.yaml_file import load

    kinds: dict[str, type[TrainingRecipe]] = {
        "autoencoder": AutoencoderRecipe,
        "diffusion": DiffusionRecipe,
    }
    for command, other in kinds.items():
        if other is kind:
            continue
        try:
            load(path, other)
        except ConfigError:
            continue
        raise UsageError(f"{path}: is a recipe of the other kind; dcae train {command} takes it")


def _is_main_process() -> bool:
    """Whether this process is the one that keeps the run's folder, as launchers number them."""
    return os.environ.get("RANK", "0") == "0"


def _ignore(_: "Event") -> None:
    """Leave telling to the main process."""
