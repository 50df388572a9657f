"""``dcae evaluate``."""

import click

from dcae_export.cli import (
    evaluate_clip,
    evaluate_generation,
    evaluate_reconstruction,
    evaluate_statistics,
)
from dcae_export.cli.command import Group, verbose_option


@click.group(name="evaluate", cls=Group)
def command() -> None:
    """Measure reconstructions and generated pictures, as the papers do."""


command.examples = (
    *evaluate_reconstruction.EXAMPLES[:1],
    *evaluate_statistics.EXAMPLES[:1],
    *evaluate_generation.EXAMPLES[:1],
    *evaluate_clip.EXAMPLES[:1],
)
command.params.append(verbose_option())
command.add_command(evaluate_reconstruction.command)
command.add_command(evaluate_statistics.command)
command.add_command(evaluate_generation.command)
command.add_command(evaluate_clip.command)
