"""The bundles that both runtimes are measured with."""

from pathlib import Path

from dcae_export.export.exporter import TransformerExport, export
from dcae_export.export.options import ExportOptions
from dcae_export.models.shipped import AUTOENCODER_NAME
from dcae_export.models.source import resolve, shipped_transformer
from runtimes.conformance.bundles import export_flow


def export_tiny(folder: str, samplers: list[str]) -> dict[str, object]:
    """Random weights of 600 kB and a flow, with these samplers."""
    export_flow(Path(folder), tuple(samplers))
    return {}


def export_demo(folder: str, side: int) -> dict[str, object]:
    """The demo model for pictures of ``side`` pixels, as ``dcae generate`` makes it."""
    export(
        resolve(None, variant=AUTOENCODER_NAME),
        Path(folder),
        ExportOptions(interpolate_positions=(side, side)),
        transformer=TransformerExport(checkpoint=shipped_transformer()),
    )
    return {}
