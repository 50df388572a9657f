"""``dcae train diffusion``."""

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
from dcae_export.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dcae_export.training.engine.events import Event, StepDone


@command_with(
    name="diffusion",
    examples=(
        "dcae train diffusion uvit-h-f64 --data latents/ --out runs/uvit",
        "dcae train diffusion dit-xl-f32 --data latents/ --out runs/dit --set transformer=dit-s",
        "dcae train diffusion uvit-h-f64 --data latents/ --out runs/uvit --resume",
        "dcae train diffusion f64-demo-usit --data latents/512 --data latents/1024 --out demo",
    ),
)
@click.argument("recipe", metavar="RECIPE")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    metavar="LATENTS",
    help="A folder of latents, as `dcae latents` makes it; more of them, of other sizes, are taken in turn.",
)
@out_option
@click.option(
    "--init-from",
    metavar="RUN|PATH|ORG/NAME",
    help="A transformer of the same sizes to start from.  [default: the recipe's, or from scratch]",
)
@course_options
def command(  # noqa: PLR0913 - one argument for each option
    *,
    recipe: str,
    data: tuple[Path, ...],
    out: Path,
    init_from: str | None,
    resume: bool,
    steps: int | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Train a diffusion transformer as RECIPE says, a file or a name of `dcae recipes list`.

    RUN gets checkpoints and losses, and at the last step a model for `dcae export --transformer-weights RUN`.
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
        from dcae_export.training.diffusion.recipe import DiffusionRecipe

        chosen = chosen_recipe(request, DiffusionRecipe)
    for folder in data:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; --data names a folder of latents")

    def train(on_event: "Callable[[Event], None]") -> None:
        from dcae_export.training.diffusion.training import train_diffusion

        train_diffusion(
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


def _print_result(run: Path, last: "StepDone | None", *, as_json: bool) -> None:
    from dcae_export.models.checkpoint_folder import CONFIG_NAME
    from dcae_export.models.finished_run import model_of
    from dcae_export.models.tensor_files import read_json_object
    from dcae_export.models.transformer_declaration import TransformerDeclaration

    model = model_of(run)
    own = TransformerDeclaration.read(read_json_object(model / CONFIG_NAME)).autoencoder
    if as_json:
        print_json(
            {
                "run": str(run),
                "model": str(model),
                "autoencoder": own.model_dump(),
                **last_step(last),
            }
        )
        return
    done = "no step was left" if last is None else f"{last.step} steps"
    click.echo(
        f"{run}: {done}; next: dcae-export --weights {own.source} --transformer-weights {run}"
    )
