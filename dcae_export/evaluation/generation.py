"""How close the pictures that a bundle generates are to those of a data set: FID."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, cast

import numpy as np
import torch

from dcae_export.errors import UsageError
from dcae_export.evaluation import published
from dcae_export.evaluation.figures import Metric, frechet_figure
from dcae_export.evaluation.folder_statistics import CROP, INCEPTION
from dcae_export.evaluation.inception_features import InceptionFeatures
from dcae_export.evaluation.pictures import crop_text
from dcae_export.evaluation.result import Result
from dcae_export.evaluation.share import Course, measure_items
from dcae_export.evaluation.statistics_file import Statistics
from dcae_export.evaluation.tally import Measured, Tally
from dcae_export.models.fid_inception import FEATURES
from dcae_export.pictures.picture_file import read_picture, write_picture
from dcae_export.pictures.tile import tile
from dcae_export.runtime.pipeline import IMAGES_PER_CALL, Pipeline

# The first of them on one sheet.
_NUM_SHOWN: Final = 16
_GENERATED, _REFERENCE = "generated", "reference"
# Of the labels, as the published evaluations draw them.
_LABEL_SEED: Final = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerationTask:
    """What is generated, how, and what it is compared with.

    ``inception`` is None where FID is left out, and ``reference`` with it. ``sampler`` and ``guidance`` are None for
    the bundle's own. Picture i draws its noise from ``seed`` + i.
    """

    subject: str
    pipeline: Pipeline
    count: int
    seed: int
    sampler: str | None
    guidance: float | None
    inception: InceptionFeatures
    reference: Statistics
    reference_name: str
    settings: Mapping[str, str]


def measure_generation(task: GenerationTask, course: Course) -> Result | None:
    """Generate pictures of random classes and measure them against the reference.

    Labels are not balanced: each is drawn anew from a generator seeded with 0, as in the published evaluations.

    Returns:
        The result in the main process, None in the others. Its sheet is in ``course.out``, where there is one.

    Raises:
        UsageError: The reference was made with another network, or the bundle has no such sampler.
        DcaeError: As ``Pipeline.generate`` and ``measure_items``.
    """
    _require_same_network(task)
    shown = None
    if course.out is not None:
        course.make_folder()
        shown = course.out / "pictures"
        shown.mkdir(exist_ok=True)
    settings = _settings(task)
    tally = measure_items(
        partial(_measure, task, shown),
        items=task.count,
        # What was generated can be compared with any reference.
        settings={name: value for name, value in settings.items() if name != _REFERENCE},
        course=course,
    )
    return None if tally is None else _result(task, tally, settings, shown)


def draw_labels(count: int, *, num_classes: int | None) -> list[int | str | None]:
    """The class of each picture; None of each where the model has no classes."""
    if num_classes is None:
        return [None] * count
    generator = torch.Generator().manual_seed(_LABEL_SEED)
    labels = torch.randint(0, num_classes, (count,), generator=generator)
    return cast("list[int | str | None]", labels.tolist())  # pyright: ignore[reportUnknownMemberType]


def _require_same_network(task: GenerationTask) -> None:
    if task.reference.gaussian.mean.shape != (FEATURES,):
        raise UsageError(
            f"{task.reference_name}: statistics of {len(task.reference.gaussian.mean)} features, Inception has "
            f"{FEATURES}; make them with dcae evaluate statistics"
        )
    made_with = task.reference.settings.get(INCEPTION)
    if made_with is not None and made_with != task.inception.source:
        raise UsageError(
            f"{task.reference_name}: made with Inception's weights {made_with}, not {task.inception.source}; "
            "name the same --inception, or make the statistics again"
        )


def _measure(task: GenerationTask, shown: Path | None, numbers: range) -> Iterator[Measured]:
    labels = draw_labels(task.count, num_classes=task.pipeline.conditioning.num_classes)
    for start in range(numbers.start, numbers.stop, IMAGES_PER_CALL):
        batch = range(start, min(start + IMAGES_PER_CALL, numbers.stop))
        images = task.pipeline.generate(
            labels[batch.start : batch.stop],
            seed=(task.seed + start) % 2**64,
            sampler=task.sampler,
            guidance=task.guidance,
        )
        if shown is not None:
            for number, image in zip(batch, images, strict=True):
                if number < _NUM_SHOWN:
                    write_picture(_picture_path(shown, number), image, force=True)
        yield Measured(items=len(batch), features={_GENERATED: task.inception(images)})


def _settings(task: GenerationTask) -> dict[str, str]:
    manifest = task.pipeline.bundle.manifest
    model, transformer = manifest.model, manifest.model.transformer
    assert transformer is not None
    of_reference = ", ".join(
        f"{name} {value}" for name, value in task.reference.settings.items() if name != INCEPTION
    )
    count = "an unknown number of" if task.reference.count is None else task.reference.count
    return {
        "pictures": f"{task.count}, labels of seed {_LABEL_SEED}, noise of seeds from {task.seed}",
        "size": "{1} x {0} px".format(*task.pipeline.size),
        "sampler": task.sampler or task.pipeline.samplers.default,
        "guidance": f"{_guidance(task):g}",
        "transformer": f"{transformer.preset}, weights {transformer.weights}, sha256 {transformer.weights_sha256}",
        "autoencoder": f"{model.preset}, weights {model.weights}, sha256 {model.weights_sha256}",
        "bundle": model.id,
        _REFERENCE: f"{task.reference_name}, {count} pictures; {of_reference or 'settings unknown'}",
        INCEPTION: task.inception.source,
        **task.settings,
    }


def _guidance(task: GenerationTask) -> float:
    return task.pipeline.samplers.default_guidance if task.guidance is None else task.guidance


def _result(
    task: GenerationTask, tally: Tally, settings: dict[str, str], shown: Path | None
) -> Result:
    transformer = task.pipeline.bundle.manifest.model.transformer
    assert transformer is not None
    beside = published.find_generation(transformer.preset, guidance=_guidance(task))
    fid = Metric(
        name="FID",
        better="lower",
        is_random=task.inception.is_random,
        published=beside.get("FID"),
    )
    return Result(
        kind="generation",
        subject=task.subject,
        settings=settings,
        figures=(
            frechet_figure(
                fid, tally.moments.get(_GENERATED), task.reference.gaussian, note=_doubt(task)
            ),
        ),
        distributions={},
        pictures=() if shown is None else (_sheet(shown, min(task.count, _NUM_SHOWN)),),
    )


def _doubt(task: GenerationTask) -> str:
    """What makes the reference another one than the distance is meant for, as far as the file tells."""
    made_with = task.reference.settings
    if INCEPTION not in made_with:
        return "the reference's network is not known"
    height, width = task.pipeline.size
    if height != width or made_with.get(CROP) != crop_text(height):
        return f"the reference's crops ({made_with.get(CROP)}) are not of {width} x {height} px"
    return ""


def _sheet(shown: Path, count: int) -> Path:
    images = [read_picture(_picture_path(shown, number)) for number in range(count)]
    path = shown.with_name("sheet.png")
    write_picture(path, tile(np.stack(images)), force=True)
    return path


def _picture_path(shown: Path, number: int) -> Path:
    return shown / f"{number:08d}.png"
