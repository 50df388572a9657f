"""``dcae list``."""

import click

from dcae_export.cli.command import command_with
from dcae_export.cli.console import json_option, print_json, print_table


@command_with(name="list", examples=("dcae list", "dcae list --json"))
@json_option
def command(*, as_json: bool) -> None:
    """List what --variant and --transformer take: autoencoders, diffusion transformers, and their backbones."""
    from dcae_export.models.transformer_presets import BACKBONES

    variants, transformers = _variants(), _transformers()
    if as_json:
        print_json(
            {"variants": variants, "transformers": transformers, "backbones": list(BACKBONES)}
        )
        return
    _print(
        variants,
        columns=("variant", "short", "what", "scaling factor", "repository"),
        keys=("name", "short_name", "summary", "scaling_factor", "repository"),
    )
    click.echo()
    _print(
        transformers,
        columns=("transformer", "autoencoder", "sampler", "guidance"),
        keys=("name", "autoencoder", "sampler", "guidance"),
    )
    click.echo()
    click.echo(
        f"on any autoencoder's latents, with your own or random weights: {', '.join(BACKBONES)}"
    )


def _variants() -> list[dict[str, object]]:
    from dcae_export.models.presets import PRESETS, SHORT_NAMES
    from dcae_export.models.shipped import AUTOENCODER_NAME

    short_names = {full: short for short, full in SHORT_NAMES.items()}
    return [
        {
            "name": name,
            "short_name": short_names.get(name),
            "summary": preset.summary,
            "downsample": preset.config.downsample,
            "latent_channels": preset.config.latent_channels,
            "scaling_factor": preset.config.scaling_factor,
            "repository": preset.repository,
            "shipped": name == AUTOENCODER_NAME,
        }
        for name, preset in PRESETS.items()
    ]


def _transformers() -> list[dict[str, object]]:
    from dcae_export.models.transformer_presets import TRANSFORMERS

    return [
        {
            "name": name,
            "summary": preset.summary,
            "autoencoder": preset.autoencoder,
            "sampler": preset.default_sampler,
            "guidance": preset.default_guidance,
            "repository": preset.repository,
        }
        for name, preset in TRANSFORMERS.items()
    ]


def _print(
    entries: list[dict[str, object]], *, columns: tuple[str, ...], keys: tuple[str, ...]
) -> None:
    print_table(columns, [[_cell(entry, key) for key in keys] for entry in entries])


def _cell(entry: dict[str, object], key: str) -> str:
    if entry[key] is not None:
        return str(entry[key])
    if key != "repository":
        return "-"
    return "comes with this package" if entry["shipped"] else "no public weights"
