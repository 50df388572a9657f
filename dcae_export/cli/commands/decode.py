"""``dcae decode``."""

from pathlib import Path

import click

from dcae_export.cli.bundle_argument import bundle_argument
from dcae_export.cli.command import command_with
from dcae_export.cli.progress import Progress
from dcae_export.cli.provider_choice import ProviderChoice
from dcae_export.cli.runtime_options import open_autoencoder, runtime_options
from dcae_export.errors import UsageError


@command_with(
    name="decode",
    examples=(
        "dcae encode dc-ae-f64c128-in-1.0 photo.jpg --out latent.npy",
        "dcae decode dc-ae-f64c128-in-1.0 latent.npy --out back.png",
    ),
)
@bundle_argument
@click.argument("latent", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="A .png, .jpg or .webp file."
)
@runtime_options
@click.option("--force", is_flag=True, help="Replace an existing file.")
def command(  # noqa: PLR0913 - one argument for each option
    *,
    bundle: str,
    latent: Path,
    out: Path,
    provider: ProviderChoice,
    threads: int | None,
    verify_hashes: bool,
    force: bool,
) -> None:
    """Write the picture of a latent, which is a file as `dcae encode` writes it."""
    from dcae_export.pictures.picture_file import check_picture_target, write_picture
    from dcae_export.runtime.latent import read_latent

    check_picture_target(out, force=force)
    autoencoder = open_autoencoder(
        bundle, provider=provider, threads=threads, verify_hashes=verify_hashes
    )
    values = read_latent(latent, autoencoder.bundle.check_graph("decoder").graph)
    if len(values) != 1:
        raise UsageError(f"{latent}: holds {len(values)} latents; save the one to decode by itself")
    with Progress("decoding"):
        (image,) = autoencoder.decode(values)
    write_picture(out, image, force=force)
    click.echo(f"{out}: {image.shape[1]}x{image.shape[0]}")
