"""``dcae encode``."""

from pathlib import Path

import click

from dcae_export.cli.bundle_argument import bundle_argument
from dcae_export.cli.command import command_with
from dcae_export.cli.console import print_note
from dcae_export.cli.progress import Progress
from dcae_export.cli.provider_choice import ProviderChoice
from dcae_export.cli.runtime_options import open_autoencoder, picture_options, runtime_options


@command_with(
    name="encode",
    examples=(
        "dcae encode dc-ae-f64c128-in-1.0 photo.jpg --out latent.npy",
        "dcae decode dc-ae-f64c128-in-1.0 latent.npy --out back.png",
    ),
)
@bundle_argument
@click.argument("picture", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .npy file.")
@picture_options
@runtime_options
@click.option("--force", is_flag=True, help="Replace an existing file.")
def command(  # noqa: PLR0913 - one argument for each option
    *,
    bundle: str,
    picture: Path,
    out: Path,
    fit: str,
    alpha: str,
    provider: ProviderChoice,
    threads: int | None,
    verify_hashes: bool,
    force: bool,
) -> None:
    """Write the latent of a picture: NumPy's .npy, float32 (1, channels, height, width).

    It is the raw latent z; a diffusion model sees (z - shift) * scaling factor, as `dcae inspect` says.
    """
    from dcae_export.pictures.picture_file import Alpha, read_picture
    from dcae_export.runtime.fit import Fit
    from dcae_export.runtime.fit import fit as fit_picture
    from dcae_export.runtime.latent import check_latent_target, write_latent

    check_latent_target(out, force=force)
    autoencoder = open_autoencoder(
        bundle, provider=provider, threads=threads, verify_hashes=verify_hashes
    )
    image = read_picture(picture, alpha=Alpha(alpha))
    autoencoder.check_size((image.shape[0], image.shape[1]), mode=Fit(fit), name=str(picture))
    fitted, _ = fit_picture(image, divisor=autoencoder.downsample, mode=Fit(fit))
    if fitted.shape != image.shape:
        print_note(
            f"{fit}: {image.shape[1]}x{image.shape[0]} became {fitted.shape[1]}x{fitted.shape[0]}, "
            f"a multiple of {autoencoder.downsample}"
        )
    with Progress("encoding"):
        latent = autoencoder.encode(fitted)
    write_latent(out, latent, force=force)
    shape = " x ".join(str(size) for size in latent.shape)
    click.echo(f"{out}: {shape} float32")
