"""The program ``dcae``: a table of commands, each imported when it is called."""

import importlib

import click

from dcae_export import __version__
from dcae_export.cli.command import Group, verbose_option

# Help must answer at once, so the one-liners stand here and no command is imported for them.
_COMMANDS = {
    "export": "Turn a checkpoint into a verified ONNX bundle.",
    "reconstruct": "Encode and decode a picture, or a folder of them, and measure the loss.",
    "encode": "Write the latent of a picture.",
    "decode": "Write the picture of a latent.",
    "generate": "Generate pictures.",
    "samplers": "List a bundle's samplers, or add some.",
    "evaluate": "Measure reconstructions and generated pictures, as the papers do.",
    "parity": "Run a bundle's golden arrays on this machine.",
    "verify": "Check a bundle's structure and hashes.",
    "inspect": "Say what a bundle is.",
    "warmup": "Open and run each graph of a bundle; TensorRT builds its engines.",
    "engine": "Build TensorRT engines that compute in the types of their graph.",
    "doctor": "Check the installation.",
    "list": "List the published autoencoders and transformers.",
    "weights": "Convert checkpoints between layouts.",
    "train": "Train an autoencoder on pictures, or a transformer on latents.",
    "recipes": "List the recipes that come with this package, or copy them.",
    "shards": "Write a folder of pictures as shards, for training.",
    "latents": "Encode a folder of pictures as latents, for diffusion training.",
}
_EXAMPLES = (
    "dcae export --variant f64",
    "dcae reconstruct dc-ae-f64c128-in-1.0 photo.jpg --out back.png",
    "dcae parity dc-ae-f64c128-in-1.0",
)


class _LazyGroup(Group):
    examples = _EXAMPLES

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: object = importlib.import_module(f"dcae_export.cli.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup)
@click.version_option(__version__, prog_name="dcae")
def dcae() -> None:
    """Take DC-AE, the deep-compression autoencoder, from PyTorch to any machine."""


dcae.params.append(verbose_option())
