"""``dcae train``: the trainings by what they train."""

import click

from dcae_export.cli.command import Group, verbose_option
from dcae_export.cli.commands.train import autoencoder, diffusion


@click.group(name="train", cls=Group)
def command() -> None:
    """Train an autoencoder on pictures, or a diffusion transformer on latents."""


command.examples = (*autoencoder.command.examples, *diffusion.command.examples)
command.params.append(verbose_option())
command.add_command(autoencoder.command)
command.add_command(diffusion.command)
