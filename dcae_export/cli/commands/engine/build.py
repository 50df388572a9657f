"""``dcae engine build``."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dcae_export.cli.bundle_argument import bundle_argument, locate_bundle
from dcae_export.cli.command import command_with
from dcae_export.cli.console import json_option, print_json, print_note, size_text
from dcae_export.cli.option_types import Bytes, WholeNumber
from dcae_export.cli.progress import Progress
from dcae_export.cli.runtime_options import trial_options

if TYPE_CHECKING:
    from dcae_export.bundle.reader import Bundle
    from dcae_export.runtime.provider_options import TensorRtOptions


@command_with(
    name="build",
    examples=(
        "dcae engine build BUNDLE --size 2048",
        "dcae engine build BUNDLE --size 2048 --guidance 1",
        "dcae generate BUNDLE --provider tensorrt --engine-precision graph --out picture.png",
    ),
)
@bundle_argument
@trial_options
@click.option("--gpu", type=WholeNumber(min=0), default=0, show_default=True, help="Its number.")
@click.option(
    "--engine-cache",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where engines are kept.  [default: the user's cache]",
)
@click.option(
    "--engine-workspace",
    "workspace",
    type=Bytes(),
    metavar="4GB",
    help="Memory of one layer while it runs.  [default: TensorRT's choice]",
)
@click.option(
    "--builder-level",
    type=WholeNumber(min=0, max=5),
    default=3,
    show_default=True,
    help="How long to look for fast kernels.",
)
@click.option("--cuda-graph", is_flag=True, help="For runs with --cuda-graph: of one batch alone.")
@click.option("--wait", is_flag=True, help="Wait for another build to end.")
@json_option
def command(  # noqa: PLR0913 - one argument for each option
    *,
    bundle: str,
    size: tuple[int, int] | None,
    batch: int,
    guidance: float | None,
    gpu: int,
    engine_cache: Path | None,
    workspace: int | None,
    builder_level: int,
    cuda_graph: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Build strongly typed engines: float16 where the bundle's graphs have it, and nowhere else.

    They are run with --provider tensorrt --engine-precision graph, and belong to this GPU and these versions.
    """
    from dcae_export.bundle.reader import Bundle
    from dcae_export.runtime.provider_options import TensorRtOptions

    options = TensorRtOptions(
        device=gpu,
        precision="graph",
        workspace=workspace,
        builder_level=builder_level,
        engine_cache=engine_cache,
        cuda_graph=cuda_graph,
    )
    opened = Bundle.open(locate_bundle(bundle))
    built = _build_all(opened, options, size=size, batch=batch, guidance=guidance, wait=wait)
    if as_json:
        print_json({"bundle": bundle, "engines": {name: str(path) for name, path in built.items()}})
        return
    for name, folder in built.items():
        size_bytes = sum(path.stat().st_size for path in folder.iterdir())
        click.echo(f"{name}: {folder}, {size_text(size_bytes)}")


def _build_all(
    bundle: "Bundle",
    options: "TensorRtOptions",
    *,
    size: tuple[int, int] | None,
    batch: int,
    guidance: float | None,
    wait: bool,
) -> dict[str, Path]:
    from dcae_export.runtime.engine_build import build_engine
    from dcae_export.runtime.engine_session import EnginePlan
    from dcae_export.runtime.provider import Provider
    from dcae_export.runtime.session import graph_opener
    from dcae_export.runtime.shared_libraries import require_libraries, require_listed
    from dcae_export.runtime.trial_run import trial_axes

    require_listed(Provider.TENSORRT)
    require_libraries(Provider.TENSORRT)
    built: dict[str, Path] = {}
    with Progress("building", steps=len(bundle.manifest.graphs)) as progress:
        for name in bundle.manifest.graphs:
            axes = trial_axes(bundle.manifest, name, size=size, batch=batch, guidance=guidance)
            files = bundle.check_graph(name)
            plan = EnginePlan.of(files, options, axes=axes)

            def on_progress(phase: str, done: int, steps: int, name: str = name) -> None:
                progress.stage(f"{name}: {phase}, {done} of {steps}")

            progress.stage(f"{name}: reading its graph")
            begun_s = time.monotonic()
            built[name] = build_engine(
                plan, open_graph=graph_opener(files), on_progress=on_progress, wait=wait
            )
            print_note(f"{name}: ready after {time.monotonic() - begun_s:.0f} s")
            progress.advance()
    return built
