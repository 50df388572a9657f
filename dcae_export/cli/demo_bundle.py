"""The bundle that is used where none was named: the demo model's, made once for each size and kept."""

from pathlib import Path

from dcae_export import __version__
from dcae_export.cli.console import print_note
from dcae_export.cli.progress import Progress
from dcae_export.errors import BundleError, UsageError
from dcae_export.extras import install_command

_DIGEST_DIGITS = 16


def demo_bundle(size: tuple[int, int] | None) -> Path:
    """The folder of the demo bundle for pictures of ``size`` (height, width); None is the smallest.

    It lies in the user's cache, named after package, weights and size. Where it is not there it is exported, which takes
    PyTorch; a second process waits for the first, and one that is killed leaves nothing under that name.

    Raises:
        UsageError: The demo model was not trained for this size; or the bundle has to be made, and PyTorch is not
            installed.
        WeightsError: This copy of the package has no demo model.
        DcaeError: As ``export``.
    """
    from dcae_export.bundle.manifest_file import is_bundle
    from dcae_export.models.shipped import shipped_digest
    from dcae_export.user_cache import cache_root

    side = _side(size)
    name = f"{__version__}-{shipped_digest()[:_DIGEST_DIGITS]}-{side}"
    target = cache_root() / "demo" / name
    if not is_bundle(target):
        _make(target, side)
    return target


def _side(size: tuple[int, int] | None) -> int:
    from dcae_export.models.shipped import SIDES

    height, width = size or (SIDES[0], SIDES[0])
    if height != width or height not in SIDES:
        known = ", ".join(str(side) for side in SIDES)
        raise UsageError(
            f"--size {width}x{height}: without a BUNDLE the demo model draws, which knows {known}; "
            "name a BUNDLE that makes this size"
        )
    return height


def _make(target: Path, side: int) -> None:
    from dcae_export.bundle.manifest_file import is_bundle

    with Progress("importing PyTorch"):
        try:
            from dcae_export.export.exporter import TransformerExport, export
            from dcae_export.export.options import ExportOptions
            from dcae_export.models.shipped import AUTOENCODER_NAME
            from dcae_export.models.source import resolve, shipped_transformer
        except ModuleNotFoundError as error:
            raise UsageError(
                f"without a BUNDLE the demo bundle is made, once, and {error.name} is not installed; "
                f"{install_command('export')}, or name a BUNDLE"
            ) from error
    print_note(f"making the demo bundle for {side}x{side}, once: {target}")
    autoencoder = resolve(None, variant=AUTOENCODER_NAME)
    transformer = TransformerExport(checkpoint=shipped_transformer())
    # Graphs of any batch, and positions of the one size.
    options = ExportOptions(interpolate_positions=(side, side))
    try:
        with Progress("preparing") as progress:
            export(
                autoencoder,
                target,
                options,
                transformer=transformer,
                wait=True,
                progress=progress.stage,
            )
    except BundleError:
        # Made by another process, while this one waited for it.
        if not is_bundle(target):
            raise
