"""``dcae train autoencoder``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcae_export.cli.command import command_with
from dcae_export.cli.commands.train.run import (
    Request,
    carry_out,
    chosen_recipe,
    course_options,
    last_step,
    out_option,
    require_packages,
)
from dcae_export.cli.console import print_json
from dcae_export.cli.progress import Progress
from dcae_export.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dcae_export.training.autoencoder.recipe import AutoencoderRecipe
    from dcae_export.training.engine.events import Event, StepDone


@command_with(
    name="autoencoder",
    examples=(
        "dcae train autoencoder fine-tune --data pictures/ --out runs/mine",
        "dcae train autoencoder f64-phase1 --data pictures/ --out runs/f64 --set batch_size=4",
        "dcae train autoencoder f64-phase2 --data pictures/ --out runs/f64-2 --init-from runs/f64",
        "dcae train autoencoder f64-phase1 --data pictures/ --out runs/f64 --resume",
    ),
)
@click.argument("recipe", metavar="RECIPE")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="A folder of pictures.  [default: the shards that the recipe names]",
)
@out_option
@click.option(
    "--init-from",
    metavar="RUN|PATH|ORG/NAME|random:SEED",
    help="Weights to start from.  [default: the recipe's; a full training needs none]",
)
@course_options
def command(  # noqa: PLR0913 - one argument for each option
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
    request = Request.parse(
        recipe=recipe,
        out=out,
        init_from=init_from,
        resume=resume,
        steps=steps,
        settings=settings,
    )
    require_packages()
    with Progress("importing PyTorch"):
        from dcae_export.training.autoencoder.recipe import AutoencoderRecipe

        chosen = chosen_recipe(request, AutoencoderRecipe)
    _require_pictures(request, data, chosen)
    if chosen.phase != "full" and chosen.init_from is None:
        raise UsageError(
            f"phase {chosen.phase} changes a part of weights that are there: --init-from names them, "
            "a run of the phase before or a repository; random:SEED is for a dry run"
        )

    def train(on_event: "Callable[[Event], None]") -> None:
        from dcae_export.training.autoencoder.training import train_autoencoder

        train_autoencoder(
            chosen,
            data=data,
            out=out,
            resume=resume,
            on_event=on_event,
        )

    carry_out(
        request,
        chosen,
        train,
        print_result=lambda last: _print_result(out, last, as_json=as_json),
    )


def _require_pictures(request: Request, data: Path | None, recipe: "AutoencoderRecipe") -> None:
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


def _print_result(run: Path, last: "StepDone | None", *, as_json: bool) -> None:
    from dcae_export.models.checkpoint_folder import CONFIG_NAME
    from dcae_export.models.finished_run import model_of
    from dcae_export.models.tensor_files import read_json_object

    model = model_of(run)
    scaling_factor = read_json_object(model / CONFIG_NAME).get("scaling_factor")
    if as_json:
        print_json(
            {
                "run": str(run),
                "model": str(model),
                "scaling_factor": scaling_factor,
                **last_step(last),
            }
        )
        return
    done = "no step was left" if last is None else f"{last.step} steps"
    click.echo(f"{run}: {done}, scaling factor {scaling_factor}; next: dcae-export --weights {run}")
