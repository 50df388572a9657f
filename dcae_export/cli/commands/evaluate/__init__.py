"""``dcae evaluate``."""

import click

from dcae_export.cli.command import Group, verbose_option
from dcae_export.cli.commands.evaluate import clip, generation, reconstruction, statistics


@click.group(name="evaluate", cls=Group)
def command() -> None:
    """Measure reconstructions and generated pictures, as the papers do."""


command.examples = (
    *reconstruction.EXAMPLES[:1],
    *statistics.EXAMPLES[:1],
    *generation.EXAMPLES[:1],
    *clip.EXAMPLES[:1],
)
command.params.append(verbose_option())
command.add_command(reconstruction.command)
command.add_command(statistics.command)
command.add_command(generation.command)
command.add_command(clip.command)
