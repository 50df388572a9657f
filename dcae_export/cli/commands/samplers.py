"""``dcae samplers``."""

from pathlib import Path

import click

from dcae_export.cli.bundle_argument import bundle_argument, locate_bundle
from dcae_export.cli.command import command_with
from dcae_export.cli.console import json_option, print_json, print_note, print_table
from dcae_export.errors import UsageError


@command_with(
    name="samplers",
    examples=(
        "dcae samplers BUNDLE",
        "dcae samplers BUNDLE --add euler:40",
        "dcae samplers BUNDLE --add dpmpp-2m:20 --default dpmpp-2m:20",
    ),
)
@bundle_argument
@click.option(
    "--add",
    "added",
    multiple=True,
    metavar="NAME:N",
    help="A solver and its number of evaluations.",
)
@click.option("--default", "default", metavar="NAME:N", help="What runs where nothing is said.")
@json_option
def command(*, bundle: str, added: tuple[str, ...], default: str | None, as_json: bool) -> None:
    """List a bundle's samplers, or add some: tables of numbers that every runtime can follow."""
    from dcae_export.bundle.reader import Bundle
    from dcae_export.bundle.sampler_edit import edit_samplers
    from dcae_export.sampling.solvers import SOLVERS

    opened = Bundle.open(locate_bundle(bundle), verify_hashes=False)
    samplers = opened.manifest.samplers
    if samplers is None:
        raise UsageError(f"{bundle}: holds no transformer, so there is nothing to sample")
    if added or default is not None:
        before = samplers.tables
        samplers = edit_samplers(Path(opened.path), added, default=default)
        for name in dict.fromkeys(added):
            if name in before:
                # A table that another version of this package made may differ.
                same = before[name] == samplers.tables[name]
                print_note(
                    f"--add {name}: {'was there already' if same else 'replaces another table'}"
                )
    assert opened.manifest.diffusion is not None
    diffusion = opened.manifest.diffusion.to_diffusion()
    solvers = {name: one.summary for name, one in SOLVERS.items() if one.fits(diffusion)}
    if as_json:
        print_json(
            {
                "default": samplers.default,
                "default_guidance": samplers.default_guidance,
                "samplers": {name: len(table.rows) for name, table in samplers.tables.items()},
                "solvers": solvers,
            }
        )
        return
    print_table(
        ("sampler", "evaluations", ""),
        [
            (name, str(len(table.rows)), "default" if name == samplers.default else "")
            for name, table in samplers.tables.items()
        ],
    )
    click.echo()
    print_table(("solvers that fit", ""), list(solvers.items()))
