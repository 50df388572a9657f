"""``dcae recipes``: the recipes that come with this package."""

from pathlib import Path

import click

from dcae_export.cli.command import Group, command_with, verbose_option
from dcae_export.cli.console import json_option, print_json, print_table

_EXAMPLES = (
    "dcae recipes list",
    "dcae recipes copy ./recipes",
)


@click.group(name="recipes", cls=Group)
def command() -> None:
    """List the recipes that come with this package, or copy them to change them."""


command.examples = _EXAMPLES
command.params.append(verbose_option())


@command_with(name="list", examples=_EXAMPLES[:1])
@json_option
def list_recipes(*, as_json: bool) -> None:
    """List the recipes by name, which is what `dcae train` and `dcae export --recipe` take."""
    from dcae_export.recipe_files import KINDS, shipped_recipes, summary

    found = {
        kind: {name: summary(path) for name, path in shipped_recipes(kind).items()}
        for kind in KINDS
    }
    if as_json:
        print_json(found)
        return
    print_table(
        ("for", "recipe", "what"),
        [(kind, name, what) for kind, recipes in found.items() for name, what in recipes.items()],
    )


@command_with(name="copy", examples=_EXAMPLES[1:])
@click.argument("folder", type=click.Path(path_type=Path), metavar="FOLDER")
@click.option("--force", is_flag=True, help="Replace existing files.")
def copy(*, folder: Path, force: bool) -> None:
    """Copy all recipes to FOLDER/train and FOLDER/export."""
    from dcae_export.errors import InputError
    from dcae_export.files.whole_file import require_free, whole_file
    from dcae_export.recipe_files import KINDS, shipped_recipes

    copies = {
        folder / kind / path.name: path for kind in KINDS for path in shipped_recipes(kind).values()
    }
    for target in copies:
        require_free(target, force=force)
    for target, source in copies.items():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{target.parent}: cannot be made: {error.strerror}") from error
        with whole_file(target, force=force) as file:
            file.write(source.read_bytes())
        click.echo(str(target))


command.add_command(list_recipes)
command.add_command(copy)
