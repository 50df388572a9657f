"""``dcae evaluate clip``."""

from pathlib import Path

import click

from dcae_export.cli.command import command_with
from dcae_export.cli.commands.evaluate.options import (
    batch_option,
    count_option,
    device_option,
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
from dcae_export.cli.console import json_option

EXAMPLES = (
    "dcae evaluate clip generated/ --clip clip-vit-large-patch14/",
    "dcae evaluate clip generated/ --clip clip-vit-large-patch14/ --html report.html --json",
)


@command_with(name="clip", examples=EXAMPLES)
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--clip",
    type=click.Path(path_type=Path),
    required=True,
    metavar="PATH",
    help="A local folder of a CLIP, as transformers has it.",
)
@count_option
@batch_option
@device_option
@report_options
@json_option
def command(  # noqa: PLR0913 - one argument for each option
    *,
    folder: Path,
    clip: Path,
    count: int | None,
    batch_size: int,
    device: str,
    out: Path | None,
    restart: bool,
    html: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Measure how well pictures fit their captions: CLIP score.

    A caption is a .txt beside its picture, or all are in DIR/captions.json: {"name.png": "caption"}.
    """
    require_packages("transformers", html=html)
    check_html(html, force=force)
    from dcae_export.evaluation.captions import Captions
    from dcae_export.evaluation.clip import CLIPTask, measure_clip
    from dcae_export.evaluation.clip_model import CLIP
    from dcae_export.evaluation.metric_device import find_device
    from dcae_export.evaluation.pictures import EvaluatedPictures
    from dcae_export.evaluation.processes import joined_processes

    with joined_processes() as processes:
        with preparing(processes):
            task = CLIPTask(
                pictures=EvaluatedPictures.find(folder, count=count),
                captions=Captions(folder),
                clip=CLIP.load(clip, device=find_device(device)),
                batch_size=batch_size,
                settings={"device": device, **versions()},
            )
        with course_of(
            "scoring", items=task.pictures.count, processes=processes, out=out, restart=restart
        ) as course:
            result = measure_clip(task, course)
    if result is not None:
        tell(result, html=html, force=force, as_json=as_json)
