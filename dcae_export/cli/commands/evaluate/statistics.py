"""``dcae evaluate statistics``."""

import shutil
from pathlib import Path

import click

from dcae_export.cli.command import command_with
from dcae_export.cli.commands.evaluate.options import (
    batch_option,
    count_option,
    device_option,
    inception_help,
    require_packages,
    restart_option,
    size_option,
)
from dcae_export.cli.commands.evaluate.report import (
    course_of,
    preparing,
    tell_shortfall,
    versions,
)
from dcae_export.cli.console import json_option, print_json, print_note

EXAMPLES = (
    "dcae evaluate statistics imagenet/train --out in512.npz --inception pt_inception.pth",
    "dcae evaluate statistics photos/ --out mine.npz --size 256 --inception pt_inception.pth",
)


@command_with(name="statistics", examples=EXAMPLES)
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="STATS.npz", help="The file."
)
@click.option("--inception", metavar="PATH|random:SEED", required=True, help=inception_help)
@size_option
@count_option
@batch_option
@device_option
@restart_option
@click.option("--force", is_flag=True, help="Replace an existing file.")
@json_option
def command(  # noqa: PLR0913 - one argument for each option
    *,
    folder: Path,
    out: Path,
    inception: str,
    size: int,
    count: int | None,
    batch_size: int,
    device: str,
    restart: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Measure the statistics of a folder of pictures that a FID is measured from.

    How far it is stands beside the file until it is done, so the same command goes on after an interruption.
    """
    require_packages()
    from dcae_export.evaluation.folder_statistics import StatisticsTask, measure_statistics
    from dcae_export.evaluation.inception_features import InceptionFeatures
    from dcae_export.evaluation.metric_device import find_device
    from dcae_export.evaluation.metric_networks import inception_network
    from dcae_export.evaluation.pictures import EvaluatedPictures
    from dcae_export.evaluation.processes import joined_processes
    from dcae_export.files.whole_file import check_target

    check_target(out, force=force)
    kept = out.with_name(f"{out.name}.progress")
    with joined_processes() as processes:
        with preparing(processes):
            task = StatisticsTask(
                pictures=EvaluatedPictures.find(folder, count=count),
                size=size,
                batch_size=batch_size,
                inception=InceptionFeatures(
                    inception_network(inception), device=find_device(device)
                ),
                settings={"device": device, **versions()},
            )
        with course_of(
            "measuring",
            items=task.pictures.count,
            processes=processes,
            out=kept,
            restart=restart,
        ) as course:
            statistics = measure_statistics(task, course)
    if statistics is None:
        return
    statistics.write(out, force=force)
    shutil.rmtree(kept)
    skipped = task.pictures.skipped
    if as_json:
        print_json(
            {
                "out": str(out),
                "pictures": statistics.count,
                "settings": dict(statistics.settings),
                "num_skipped": len(skipped),
                "skipped": [
                    {"name": skip.name, "reason": skip.reason.value, "detail": skip.detail}
                    for skip in skipped.listed
                ],
            }
        )
        return
    if len(skipped):
        print_note(f"left out: {skipped}; --json lists them")
    tell_shortfall(statistics.settings)
    click.echo(f"{out}: statistics of {statistics.count} pictures")
