"""``dcae train``: the trainings by what they train."""

import click

from dcae_export.cli.command import Group, verbose_option
from dcae_export.cli.train_autoencoder import autoencoder
from dcae_export.cli.train_diffusion import diffusion


@click.group(name="train", cls=Group)
def command() -> None:
    """Train an autoencoder on pictures, or a diffusion transformer on latents."""


command.examples = (*autoencoder.examples, *diffusion.examples)
command.params.append(verbose_option())
command.add_command(autoencoder)
command.add_command(diffusion)
