"""``dcae engine``."""

import click

from dcae_export.cli.command import Group, verbose_option
from dcae_export.cli.commands.engine import build


@click.group(name="engine", cls=Group)
def command() -> None:
    """Build TensorRT engines that compute in the types of their graph."""


command.examples = build.command.examples
command.params.append(verbose_option())
command.add_command(build.command)
