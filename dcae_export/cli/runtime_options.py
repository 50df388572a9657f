"""The options of every command that runs a bundle."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from dcae_export.cli.bundle_argument import locate_bundle
from dcae_export.cli.console import print_note
from dcae_export.runtime.provider import Provider
from dcae_export.runtime.provider_options import default_options

if TYPE_CHECKING:
    from dcae_export.runtime.autoencoder import Autoencoder

Function = TypeVar("Function", bound=Callable[..., None])

PROVIDERS = [provider.value for provider in Provider]
# As text: the modules of Fit and Alpha load OpenCV, and help does without.
FITS = ("pad", "crop", "resize")
BACKGROUNDS = ("white", "black")


def runtime_options(function: Function) -> Function:
    """Add ``--provider``, ``--threads`` and ``--no-verify``."""
    for option in (
        click.option(
            "--verify/--no-verify",
            "verify_hashes",
            default=True,
            show_default=True,
            help="Check the hashes of the bundle's files, or skip that with a note.",
        ),
        click.option(
            "--threads",
            type=click.IntRange(min=1),
            help="Threads of an operator.  [default: one per physical core]",
        ),
        click.option(
            "--provider",
            type=click.Choice(PROVIDERS),
            default="cpu",
            show_default=True,
            help="Where to run; nothing else is used in its place.",
        ),
    ):
        function = option(function)
    return function


def picture_options(function: Function) -> Function:
    """Add ``--fit`` and ``--alpha``."""
    for option in (
        click.option(
            "--alpha",
            type=click.Choice(BACKGROUNDS),
            default="white",
            show_default=True,
            help="The background of transparent pictures.",
        ),
        click.option(
            "--fit",
            type=click.Choice(FITS),
            default="pad",
            show_default=True,
            help="What to do with a size that is no multiple of the bundle's factor.",
        ),
    ):
        function = option(function)
    return function


def open_autoencoder(
    bundle: str, *, provider: str, threads: int | None, verify_hashes: bool
) -> "Autoencoder":
    """Open the bundle that a user named, as the options of ``runtime_options`` say."""
    from dcae_export.runtime.autoencoder import Autoencoder

    if not verify_hashes:
        print_note("--no-verify: the hashes of the bundle's files are not checked")
    return Autoencoder.open(
        locate_bundle(bundle),
        provider=default_options(Provider(provider)),
        threads=threads,
        verify_hashes=verify_hashes,
    )
