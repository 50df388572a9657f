"""``dcae export``."""

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from dcae_export.cli.command import command_with
from dcae_export.cli.console import print_note, size_text
from dcae_export.cli.progress import Progress
from dcae_export.errors import BundleError, UsageError
from dcae_export.export.options import SimplifierName
from dcae_export.export.target import TargetName

if TYPE_CHECKING:
    from dcae_export.export.recipe import ExportRecipe
    from dcae_export.models.weights import Checkpoint


class _Size(click.ParamType[tuple[int, int]]):
    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        from dcae_export.export.recipe import parse_size

        try:
            return parse_size(str(value))
        except ValueError as error:
            self.fail(f"{value}: {error}", param, ctx)


@command_with(
    name="export",
    examples=(
        "dcae export --variant f64",
        "dcae export --weights dc-ae-f32c32-sana-1.1/ --target cuda --size 1024",
        "dcae export --variant f32 --weights random:0 --out try-it",
        "dcae export --recipe f64-2048 --size 2048x1024",
    ),
)
@click.option("--variant", help="A name of `dcae list`. May be left out where the weights tell it.")
@click.option(
    "--weights",
    metavar="PATH|ORG/NAME|random:SEED",
    help="Weights.  [default: the variant's official ones, from the hub]",
)
@click.option("--out", metavar="FOLDER", help="The bundle.  [default: ./ and the variant's name]")
@click.option(
    "--target",
    type=click.Choice(get_args(TargetName)),
    help="What will run it.  [default: generic: anything]",
)
@click.option(
    "--size",
    type=_Size(),
    metavar="512|WIDTHxHEIGHT",
    help="Fix the size of pictures.  [default: any size]",
)
@click.option(
    "--batch", type=click.IntRange(min=1), help="With --size: pictures at a time.  [default: 1]"
)
@click.option(
    "--image-io/--no-image-io", default=None, help="Take and give uint8 pictures, (N, H, W, 3)."
)
@click.option(
    "--simplifier", type=click.Choice(get_args(SimplifierName)), help="[default: onnxsim]"
)
@click.option("--single-file/--no-single-file", default=None, help="Keep weights inside the .onnx.")
@click.option(
    "--recipe",
    "recipe_name",
    metavar="FILE|NAME",
    help="These options as YAML, or the name of a shipped recipe; the command line wins.",
)
@click.option("--force", is_flag=True, help="Replace an existing bundle.")
@click.option("--wait", is_flag=True, help="Queue behind another writer of the bundle.")
def command(
    *,
    recipe_name: str | None,
    force: bool,
    wait: bool,
    **given: str | int | tuple[int, int] | None,
) -> None:
    """Turn a checkpoint into a verified ONNX bundle.

    Every graph is compared with PyTorch as it was saved, before the bundle appears.
    """
    from dcae_export.export.recipe import ExportRecipe, find_recipe
    from dcae_export.yaml_file import load

    recipe = ExportRecipe() if recipe_name is None else load(find_recipe(recipe_name), ExportRecipe)
    recipe = recipe.model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    _check_before_weights(recipe, force=force)
    _print_result(_export(recipe, force=force, wait=wait))


def _check_before_weights(recipe: "ExportRecipe", *, force: bool) -> None:
    """Refuse what cannot succeed before gigabytes are fetched for it."""
    from dcae_export.models.presets import PRESETS, preset_name

    options = recipe.options()
    if recipe.variant is not None:
        options.grid(PRESETS[preset_name(recipe.variant)].config.downsample)
    target = recipe.out
    if target is None and recipe.variant is not None:
        target = preset_name(recipe.variant)
    if target is not None and not force and Path(target).exists():
        raise BundleError(f"{target}: exists; --force replaces it, --out names another")


def _export(recipe: "ExportRecipe", *, force: bool, wait: bool) -> Path:
    with Progress("importing PyTorch"):
        from dcae_export.export.exporter import export
        from dcae_export.models.source import resolve

    # The hub's client draws its own bars.
    checkpoint = resolve(recipe.weights, variant=recipe.variant)
    if checkpoint.source.startswith("random:"):
        print_note(f"{checkpoint.source}: pictures will be noise; this is a dry run")
    with Progress("preparing") as progress:
        return export(
            checkpoint,
            _target(recipe, checkpoint),
            recipe.options(),
            force=force,
            wait=wait,
            progress=progress.stage,
        )


def _target(recipe: "ExportRecipe", checkpoint: "Checkpoint") -> Path:
    from dcae_export.models.presets import PRESETS

    if recipe.out is not None:
        return Path(recipe.out)
    if checkpoint.preset not in PRESETS:
        raise UsageError("these weights are of no published variant; name the bundle with --out")
    return Path(checkpoint.preset)


def _print_result(target: Path) -> None:
    from dcae_export.bundle.reader import Bundle

    files = Bundle.open(target, verify_hashes=False).manifest.files.values()
    size = size_text(sum(file.bytes for file in files))
    click.echo(f"{target}: {size}; next: dcae reconstruct {target} photo.jpg --out back.png")
