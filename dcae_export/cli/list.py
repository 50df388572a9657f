"""``dcae list``."""

from dcae_export.cli.command import command_with
from dcae_export.cli.console import json_option, print_json, print_table


@command_with(name="list", examples=("dcae list", "dcae list --json"))
@json_option
def command(*, as_json: bool) -> None:
    """List the published autoencoders: what --variant takes."""
    from dcae_export.models.presets import PRESETS, SHORT_NAMES

    short_names = {full: short for short, full in SHORT_NAMES.items()}
    variants = [
        {
            "name": name,
            "short_name": short_names.get(name),
            "summary": preset.summary,
            "downsample": preset.config.downsample,
            "latent_channels": preset.config.latent_channels,
            "scaling_factor": preset.config.scaling_factor,
            "repository": preset.repository,
        }
        for name, preset in PRESETS.items()
    ]
    if as_json:
        print_json({"variants": variants})
        return
    columns = ("variant", "short", "what", "scaling factor", "repository")
    keys = ("name", "short_name", "summary", "scaling_factor", "repository")
    absent = {"repository": "no public weights"}
    print_table(
        columns,
        [
            [absent.get(key, "-") if variant[key] is None else str(variant[key]) for key in keys]
            for variant in variants
        ],
    )
