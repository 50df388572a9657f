"""``dcae inspect``."""

from typing import TYPE_CHECKING

import click

from dcae_export.cli.bundle_argument import bundle_argument, locate_bundle
from dcae_export.cli.command import command_with
from dcae_export.cli.console import json_option, print_json, print_table, size_text
from dcae_export.cli.installation import installed
from dcae_export.errors import ProviderError
from dcae_export.random_name import is_random

if TYPE_CHECKING:
    from dcae_export.bundle.manifest import Fp32Block, Manifest, Port

_PACKAGES = ("dcae-export", "onnxruntime", "onnxruntime-gpu", "numpy", "opencv-python-headless")


@command_with(
    name="inspect",
    examples=(
        "dcae inspect dc-ae-f64c128-in-1.0",
        "dcae inspect dc-ae-f64c128-in-1.0 --json",
    ),
)
@bundle_argument
@json_option
def command(*, bundle: str, as_json: bool) -> None:
    """Say what a bundle is, and what is installed to run it: for reports of faults, too.

    Hashes are not checked; `dcae verify` does that.
    """
    from dcae_export.bundle.reader import Bundle

    manifest = Bundle.open(locate_bundle(bundle)).manifest
    packages, providers = _packages(), _providers()
    if as_json:
        print_json(
            {
                "bundle": bundle,
                "random_weights": manifest.model.has_random_weights,
                "manifest": manifest.model_dump(mode="json"),
                "packages": packages,
                "providers": providers,
            }
        )
        return
    _print_model(bundle, manifest)
    _print_generation(manifest)
    _print_graphs(manifest)
    _print_parity(manifest)
    click.echo("installed: " + ", ".join(f"{name} {version}" for name, version in packages.items()))
    click.echo(f"providers: {', '.join(providers) or 'none: no ONNX Runtime is installed'}")


def _packages() -> dict[str, str]:
    versions = installed()
    return {name: versions[name] for name in _PACKAGES if name in versions}


def _providers() -> list[str]:
    from dcae_export.runtime.provider_probe import listed_providers

    try:
        return listed_providers()
    except ProviderError:
        return []


def _print_model(bundle: str, manifest: "Manifest") -> None:
    model, latent, image = manifest.model, manifest.latent, manifest.image
    weights = f"{model.weights}, sha256 {model.weights_sha256[:16]}"
    if is_random(model.weights):
        weights = f"RANDOM WEIGHTS ({model.weights}): its pictures are noise"
    total = sum(file.bytes for file in manifest.files.values())
    made = manifest.producer
    print_table(
        ("bundle", bundle),
        [
            ("model", f"{model.preset}, id {model.id[:16]}"),
            ("weights", weights),
            ("licence", model.licence or "not stated by the weights' source"),
            (
                "image",
                f"{image.dtype} {image.layout}, {image.range[0]:g} to {image.range[1]:g}",
            ),
            ("latent", f"{latent.channels} channels, 1/{latent.downsample} of each side"),
            ("scaling factor", str(latent.scaling_factor or "not published")),
            ("shift", f"{latent.shift:g}"),
            ("made by", f"dcae-export {made.package}, torch {made.torch}, onnx {made.onnx}"),
            ("made at", made.time),
            (
                "files",
                f"{len(manifest.files)}, {size_text(total)}; format {manifest.format_version}",
            ),
        ],
    )
    click.echo()


def _print_generation(manifest: "Manifest") -> None:
    transformer, diffusion = manifest.model.transformer, manifest.diffusion
    conditioning, samplers = manifest.conditioning, manifest.samplers
    if transformer is None or diffusion is None or conditioning is None or samplers is None:
        return
    rows, columns = diffusion.grid
    factor = manifest.latent.downsample
    labels = "none"
    if conditioning.num_classes is not None:
        named = "" if conditioning.class_names is None else ", named"
        labels = f"{conditioning.num_classes} classes{named}"
    print_table(
        ("transformer", transformer.preset),
        [
            ("weights", f"{transformer.weights}, sha256 {transformer.weights_sha256[:16]}"),
            ("licence", transformer.licence or "not stated by the weights' source"),
            ("predicts", f"{diffusion.prediction}, {diffusion.schedule.kind} schedule"),
            ("trained at", f"{factor * columns}x{factor * rows}"),
            ("labels", labels),
            ("samplers", ", ".join(samplers.tables)),
            ("default", f"{samplers.default}, guidance {samplers.default_guidance:g}"),
        ],
    )
    click.echo()


def _print_graphs(manifest: "Manifest") -> None:
    simplified = {record.graph: record for record in manifest.simplification}
    rows: list[tuple[str, ...]] = []
    for name, graph in manifest.graphs.items():
        size = sum(manifest.files[path].bytes for path in (graph.path, *graph.data))
        record = simplified.get(name)
        rows.append(
            (
                name,
                f"{graph.target}, {graph.precision}, opset {graph.opset}",
                "-" if record is None else str(record.nodes_after),
                ", ".join(_port(port) for port in graph.inputs),
                ", ".join(_port(port) for port in graph.outputs),
                f"{graph.path}: {size_text(size)} in {1 + len(graph.data)} files",
            )
        )
    print_table(("graph", "form", "nodes", "takes", "gives", "files"), rows)
    for name, graph in manifest.graphs.items():
        if graph.fp32_blocks is not None:
            click.echo(f"{name} in float32: {', '.join(map(_block, graph.fp32_blocks))}")
    click.echo()


def _block(block: "Fp32Block") -> str:
    return block.block if block.max_abs is None else f"{block.block} (reaches {block.max_abs:.3g})"


def _port(port: "Port") -> str:
    return f"{port.name} {port.dtype} [{', '.join(str(dim) for dim in port.shape)}]"


def _print_parity(manifest: "Manifest") -> None:
    if not manifest.parity:
        click.echo("parity: nothing recorded")
        return
    print_table(
        ("parity of", "input", "on", "against", "relative L2", "max abs", "verdict"),
        [
            (
                record.graph,
                record.input,
                record.runtime,
                record.reference,
                f"{record.relative_l2:.1e}",
                f"{record.max_abs:.1e}",
                record.verdict,
            )
            for record in manifest.parity
        ],
    )
    click.echo()
