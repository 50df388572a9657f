"""The options of every command that runs a bundle."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from dcae_export.cli.bundle_argument import locate_bundle
from dcae_export.cli.console import print_note
from dcae_export.cli.option_types import Bytes, Number, Size, WholeNumber
from dcae_export.cli.provider_choice import ProviderChoice, choice_of, gpu_options, provider_option

if TYPE_CHECKING:
    from dcae_export.runtime.autoencoder import Autoencoder

# As text: the modules of Fit and Alpha load OpenCV, and help does without.
FITS = ("pad", "crop", "resize")
BACKGROUNDS = ("white", "black")


def runtime_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add ``--provider`` with the options of each, ``--memory-limit``, ``--threads`` and ``--no-verify``.

    The function gets ``provider``, a ``ProviderChoice``, ``threads`` and ``verify_hashes``.
    """
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
            type=WholeNumber(min=1),
            help="Threads of an operator.  [default: one per physical core]",
        ),
    ):
        function = option(function)
    return provider_options(function)


def provider_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add ``--provider``, ``--memory-limit`` and the options of GPUs; the function gets ``provider`` of them."""

    @functools.wraps(function)
    def call(**values: object) -> None:
        function(provider=choice_of(values), **values)

    # click reads them from the last to the first.
    params: list[click.Parameter] = vars(call).setdefault("__click_params__", [])
    params.extend(
        reversed(
            [
                provider_option(),
                click.Option(
                    ["--memory-limit"],
                    type=Bytes(),
                    metavar="8GB",
                    help="Memory that a request may take, of the GPU where one is used; TensorRT's own is not counted.  "
                    "[default: what is left]",
                ),
                *gpu_options(),
            ]
        )
    )
    return call


def trial_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add ``--size``, ``--batch`` and ``--guidance``, what a graph is tried or built for."""
    for option in (
        click.option(
            "--guidance",
            type=click.FloatRange(min=0),
            help="Guidance weight of the runs; 1 runs without.  [default: the bundle's]",
        ),
        click.option(
            "--batch",
            type=WholeNumber(min=1),
            default=1,
            show_default=True,
            help="Pictures at a time; a guided transformer runs two rows for each.",
        ),
        click.option(
            "--size", type=Size(), metavar="512|WIDTHxHEIGHT", help="[default: the bundle's]"
        ),
    ):
        function = option(function)
    return function


def guidance_option(function: Callable[..., None]) -> Callable[..., None]:
    """Add ``--guidance``."""
    return click.option(
        "--guidance",
        type=Number(min=0),
        metavar="WEIGHT",
        help="0 is the unconditional prediction alone, 1 the one for the label alone; more goes further away "
        "from the unconditional one.  [default: the bundle's]",
    )(function)


def picture_options(function: Callable[..., None]) -> Callable[..., None]:
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
    bundle: str, *, provider: ProviderChoice, threads: int | None, verify_hashes: bool
) -> "Autoencoder":
    """Open the bundle that a user named, as the options of ``runtime_options`` say."""
    from dcae_export.runtime.autoencoder import Autoencoder

    if not verify_hashes:
        print_note("--no-verify: the hashes of the bundle's files are not checked")
    options = provider.resolve()
    return Autoencoder.open(
        locate_bundle(bundle),
        provider=options,
        threads=threads,
        verify_hashes=verify_hashes,
    )
