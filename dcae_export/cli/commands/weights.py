"""``dcae weights``: the commands that take checkpoints and know nothing of bundles."""

from pathlib import Path

import click

from dcae_export.cli.command import Group, command_with, verbose_option
from dcae_export.cli.console import print_note
from dcae_export.cli.progress import Progress

_EXAMPLES = (
    "dcae weights convert dc-ae-f32c32-in-1.0/ for-diffusers/ --layout diffusers",
    "dcae weights convert model.safetensors official/ --layout official --variant f64",
)


@click.group(name="weights", cls=Group)
def command() -> None:
    """Convert checkpoints between layouts."""


command.examples = _EXAMPLES
command.params.append(verbose_option())


@command_with(name="convert", examples=_EXAMPLES)
@click.argument("source", type=click.Path(path_type=Path), metavar="SRC")
@click.argument("target", type=click.Path(path_type=Path), metavar="DST")
@click.option(
    "--layout", type=click.Choice(("official", "diffusers")), required=True, help="What to write."
)
@click.option("--variant", help="A name of `dcae list`, where SRC is a file that many could be.")
@click.option("--force", is_flag=True, help="Replace an existing checkpoint.")
def convert(*, source: Path, target: Path, layout: str, variant: str | None, force: bool) -> None:
    """Write the checkpoint SRC, a file or folder of any layout, as the folder DST.

    Every tensor is checked and used exactly once.
    """
    with Progress("importing PyTorch") as progress:
        from dcae_export.models.key_map import Layout
        from dcae_export.models.weights import convert as convert_weights

        progress.stage("converting")
        checkpoint = convert_weights(
            source, target, layout=Layout(layout), variant=variant, force=force
        )
    if checkpoint.licence is None:
        print_note(f"{source}: states no licence; that of the original weights holds")
    click.echo(f"{target}: {checkpoint.preset}, {layout} layout")


command.add_command(convert)
