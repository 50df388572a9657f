"""Add sampler tables to a bundle that exists: only its manifest changes."""

import os
from collections.abc import Sequence
from pathlib import Path

from dcae_export.bundle.manifest import MANIFEST_NAME, Samplers, SamplerTable
from dcae_export.bundle.manifest_file import manifest_text, parse_manifest, read_manifest
from dcae_export.errors import BundleError, UsageError
from dcae_export.files.writer_lock import writer_lock
from dcae_export.sampling.solvers import make_table

# Hidden, and so none that a manifest can list.
_STAGED = f".{MANIFEST_NAME}.partial"


def edit_samplers(root: Path, added: Sequence[str], *, default: str | None) -> Samplers:
    """Add tables by name, as in ``euler:40``, and choose the default; None keeps it.

    The manifest is replaced in one step: a kill leaves the old one.

    Raises:
        UsageError: A sampler that does not exist or does not go with this bundle's diffusion.
        BundleError: The bundle has no transformer, would hold more than a reader accepts, or cannot be written.
        BusyError: Another process writes the bundle.
    """
    with writer_lock(root):
        manifest = read_manifest(root)
        if manifest.samplers is None or manifest.diffusion is None:
            raise BundleError(f"{root}: holds no transformer, so there is nothing to sample")
        diffusion = manifest.diffusion.to_diffusion()
        tables = dict(manifest.samplers.tables)
        if added and any(table.time_features is not None for table in tables.values()):
            raise UsageError(
                f"{root}: its transformer takes features of the time, made by the exporter for each sampler; "
                "export it again with --sampler"
            )
        tables |= {name: SamplerTable.of(make_table(name, diffusion)) for name in added}
        chosen = manifest.samplers.default if default is None else default
        if chosen not in tables:
            raise UsageError(
                f"sampler {chosen!r}: this bundle has {', '.join(tables)}; --add it as well"
            )
        samplers = manifest.samplers.model_copy(update={"tables": tables, "default": chosen})
        text = manifest_text(manifest.model_copy(update={"samplers": samplers}))
        # What the reader refuses is never published; a copy with changes was not validated.
        parse_manifest(text)
        staged = root / _STAGED
        try:
            with staged.open("wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            staged.replace(root / MANIFEST_NAME)
        except OSError as error:
            raise BundleError(f"{root}: cannot be written: {error.strerror}") from error
        finally:
            staged.unlink(missing_ok=True)
    return samplers
