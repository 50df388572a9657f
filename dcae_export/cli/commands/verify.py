"""``dcae verify``."""

import click

from dcae_export.cli.bundle_argument import bundle_argument, locate_bundle
from dcae_export.cli.command import command_with
from dcae_export.cli.console import json_option, print_json, size_text
from dcae_export.cli.progress import Progress
from dcae_export.errors import DcaeError


@command_with(
    name="verify",
    examples=(
        "dcae verify dc-ae-f64c128-in-1.0",
        "dcae verify dc-ae-f64c128-in-1.0 --json",
    ),
)
@bundle_argument
@json_option
def command(*, bundle: str, as_json: bool) -> None:
    """Check a bundle's structure and hashes, without running it.

    Status 3: incomplete or malformed. Status 4: a hash differs, or something is not safe to use.
    """
    try:
        sizes = _verified_sizes(bundle)
    except DcaeError as error:
        if as_json:
            print_json({"bundle": bundle, "ok": False, "error": str(error), "files": {}})
        raise
    if as_json:
        print_json({"bundle": bundle, "ok": True, "error": None, "files": sizes})
        return
    for name, size in sizes.items():
        click.echo(f"ok  {name}  {size_text(size)}")
    click.echo(f"{bundle}: {len(sizes)} files, {size_text(sum(sizes.values()))}, all as listed")


def _verified_sizes(name: str) -> dict[str, int]:
    from dcae_export.bundle.reader import Bundle

    bundle = Bundle.open(locate_bundle(name))
    with Progress("hashing"):
        bundle.verify()
    return {name: file.bytes for name, file in sorted(bundle.manifest.files.items())}
