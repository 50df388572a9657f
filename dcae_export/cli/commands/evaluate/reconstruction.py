"""``dcae evaluate reconstruction``."""

from pathlib import Path

import click

from dcae_export.cli.bundle_argument import bundle_argument
from dcae_export.cli.command import command_with
from dcae_export.cli.commands.evaluate.options import (
    batch_option,
    count_option,
    device_option,
    inception_help,
    report_options,
    require_packages,
    size_option,
)
from dcae_export.cli.commands.evaluate.report import (
    check_html,
    course_of,
    preparing,
    tell,
    versions,
)
from dcae_export.cli.console import json_option
from dcae_export.cli.provider_choice import ProviderChoice
from dcae_export.cli.runtime_options import open_autoencoder, runtime_options
from dcae_export.errors import UsageError

EXAMPLES = (
    "dcae evaluate reconstruction BUNDLE --data imagenet/val --inception pt_inception.pth",
    "dcae evaluate reconstruction BUNDLE --data mine/ --alexnet alexnet.pth --html page.html",
    "torchrun --nproc-per-node 4 -m dcae_export evaluate reconstruction BUNDLE --data DIR",
)
DATASETS = ("imagenet", "mjhq")


@command_with(name="reconstruction", examples=EXAMPLES)
@bundle_argument
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="The pictures, subfolders included.",
)
@size_option
@count_option
@click.option(
    "--inception",
    metavar="PATH|random:SEED",
    help=f"{inception_help} Without, no rFID.",
)
@click.option(
    "--alexnet",
    metavar="PATH|random:SEED",
    help="Weights of AlexNet: alexnet-owt-7be5be79.pth. Without, no LPIPS.",
)
@click.option(
    "--dataset",
    type=click.Choice(DATASETS),
    help="What DIR holds, to show what was published for it.",
)
@batch_option
@device_option
@runtime_options
@report_options
@json_option
def command(  # noqa: PLR0913 - one argument for each option
    *,
    bundle: str,
    data: Path,
    size: int,
    count: int | None,
    inception: str | None,
    alexnet: str | None,
    dataset: str | None,
    batch_size: int,
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
    """Measure how close reconstructions are to their pictures: rFID, PSNR, SSIM, LPIPS.

    Pictures are cropped as ADM does and quantised to 8 bits. With --out, DIR gets sheets of some pictures, and the
    same command goes on after an interruption. A launcher as torchrun makes several processes share the work.
    """
    # The published heads of LPIPS come with torchmetrics.
    require_packages(None if alexnet is None else "torchmetrics", html=html)
    check_html(html, force=force)
    if out is not None and out.resolve().is_relative_to(data.resolve()):
        raise UsageError(
            f"{out}: lies in {data}, so its sheets would be evaluated; choose another --out"
        )
    from dcae_export.evaluation.inception_features import InceptionFeatures
    from dcae_export.evaluation.lpips_distances import LPIPSDistances
    from dcae_export.evaluation.metric_device import find_device
    from dcae_export.evaluation.metric_networks import alexnet_network, inception_network
    from dcae_export.evaluation.pictures import EvaluatedPictures
    from dcae_export.evaluation.processes import joined_processes
    from dcae_export.evaluation.published import Dataset
    from dcae_export.evaluation.reconstruction import ReconstructionTask, measure_reconstruction
    from dcae_export.runtime.provider import installed_version

    with joined_processes() as processes:
        with preparing(processes):
            place = find_device(device)
            autoencoder = open_autoencoder(
                bundle, provider=provider, threads=threads, verify_hashes=verify_hashes
            )
            task = ReconstructionTask(
                subject=bundle,
                autoencoder=autoencoder,
                pictures=EvaluatedPictures.find(data, count=count),
                size=size,
                batch_size=batch_size,
                inception=None
                if inception is None
                else InceptionFeatures(inception_network(inception), device=place),
                lpips=None
                if alexnet is None
                else LPIPSDistances(alexnet_network(alexnet), device=place),
                dataset=None if dataset is None else Dataset(dataset),
                settings={
                    "provider": f"{autoencoder.provider.value}, ONNX Runtime {installed_version()}",
                    "device": device,
                    **versions(),
                },
            )
        with course_of(
            "reconstructing",
            items=task.pictures.count,
            processes=processes,
            out=out,
            restart=restart,
        ) as course:
            result = measure_reconstruction(task, course)
    if result is not None:
        tell(result, html=html, force=force, as_json=as_json)
