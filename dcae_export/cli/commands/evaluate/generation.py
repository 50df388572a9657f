"""``dcae evaluate generation``."""

from pathlib import Path

import click

from dcae_export.cli.bundle_argument import bundle_argument, locate_bundle
from dcae_export.cli.command import command_with
from dcae_export.cli.commands.evaluate.options import (
    device_option,
    inception_help,
    report_options,
    require_packages,
)
from dcae_export.cli.commands.evaluate.report import (
    check_html,
    course_of,
    preparing,
    tell,
    versions,
)
from dcae_export.cli.console import json_option, print_note
from dcae_export.cli.option_types import WholeNumber
from dcae_export.cli.provider_choice import ProviderChoice
from dcae_export.cli.runtime_options import guidance_option, runtime_options

EXAMPLES = (
    "dcae evaluate generation BUNDLE --reference in512.npz --inception pt_inception.pth",
    "dcae evaluate generation BUNDLE --reference in512.npz --inception random:0 --count 64",
)


@command_with(name="generation", examples=EXAMPLES)
@bundle_argument
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    required=True,
    metavar="STATS.npz",
    help="Statistics of real pictures, of dcae evaluate statistics.",
)
@click.option("--inception", metavar="PATH|random:SEED", required=True, help=inception_help)
@click.option(
    "--count",
    type=WholeNumber(min=2),
    default=50_000,
    show_default=True,
    help="Pictures that are generated.",
)
@click.option(
    "--seed",
    type=WholeNumber(min=0, max=2**64 - 1),
    default=0,
    show_default=True,
    help="Picture i draws from SEED + i.",
)
@click.option("--sampler", metavar="NAME:N", help="A sampler of the bundle.  [default: its own]")
@guidance_option
@device_option
@runtime_options
@report_options
@json_option
def command(  # noqa: PLR0913 - one argument for each option
    *,
    bundle: str,
    reference: Path,
    inception: str,
    count: int,
    seed: int,
    sampler: str | None,
    guidance: float | None,
    device: str,
    provider: ProviderChoice,
    threads: int | None,
    verify_hashes: bool,
    out: Path | None,
    restart: bool,
    html: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Measure how close generated pictures are to real ones: FID.

    Classes are drawn at random, as in the published evaluations. With --out, DIR gets a sheet of the first pictures,
    and the same command goes on after an interruption. A launcher as torchrun makes several processes share the work.
    """
    require_packages(html=html)
    check_html(html, force=force)
    from dcae_export.evaluation.generation import GenerationTask, measure_generation
    from dcae_export.evaluation.inception_features import InceptionFeatures
    from dcae_export.evaluation.metric_device import find_device
    from dcae_export.evaluation.metric_networks import inception_network
    from dcae_export.evaluation.processes import joined_processes
    from dcae_export.evaluation.statistics_file import Statistics
    from dcae_export.runtime.pipeline import Pipeline
    from dcae_export.runtime.provider import installed_version

    if not verify_hashes:
        print_note("--no-verify: the hashes of the bundle's files are not checked")
    with joined_processes() as processes:
        with preparing(processes):
            options = provider.resolve()
            task = GenerationTask(
                subject=bundle,
                pipeline=Pipeline.open(
                    locate_bundle(bundle),
                    provider=options,
                    memory_limit=provider.memory_limit,
                    threads=threads,
                    keep_sessions=True,
                    verify_hashes=verify_hashes,
                ),
                count=count,
                seed=seed,
                sampler=sampler,
                guidance=guidance,
                inception=InceptionFeatures(
                    inception_network(inception), device=find_device(device)
                ),
                reference=Statistics.read(reference),
                reference_name=str(reference),
                settings={
                    "provider": f"{options.provider.value}, ONNX Runtime {installed_version()}",
                    "device": device,
                    **versions(),
                },
            )
        with course_of(
            "generating", items=count, processes=processes, out=out, restart=restart
        ) as course:
            result = measure_generation(task, course)
    if result is not None:
        tell(result, html=html, force=force, as_json=as_json)
