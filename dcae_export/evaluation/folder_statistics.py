"""Statistics of a folder's pictures, from which the FID of generated ones is measured."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from dcae_export.errors import PictureError
from dcae_export.evaluation.inception_features import InceptionFeatures
from dcae_export.evaluation.pictures import EvaluatedPictures, crop_text
from dcae_export.evaluation.share import Course, measure_items
from dcae_export.evaluation.statistics_file import Statistics
from dcae_export.evaluation.tally import Measured
from dcae_export.pictures.crops import adm_crop

# What a statistics file says of itself.
INCEPTION, CROP = "Inception", "crop"
_PICTURES = "pictures"


@dataclass(frozen=True, kw_only=True, slots=True)
class StatisticsTask:
    """Pictures, and what sees them; ``size`` is the side of their crops in pixels."""

    pictures: EvaluatedPictures
    size: int
    batch_size: int
    inception: InceptionFeatures
    settings: Mapping[str, str]


def measure_statistics(task: StatisticsTask, course: Course) -> Statistics | None:
    """Measure the distribution of the pictures' features, of ADM's crop of each.

    Returns:
        The statistics in the main process, None in the others.

    Raises:
        PictureError: Fewer than two pictures could be read.
        DcaeError: As ``measure_items``.
    """
    course.make_folder()
    settings = {
        "pictures": f"{task.pictures.count} of {len(task.pictures.names)} in {task.pictures.folder}",
        CROP: crop_text(task.size),
        INCEPTION: task.inception.source,
        **task.settings,
    }
    tally = measure_items(
        partial(_measure, task),
        items=task.pictures.count,
        settings=settings | {"names": task.pictures.digest},
        course=course,
    )
    if tally is None:
        return None
    outcome = task.pictures.outcome(tally.skipped)
    moments = tally.moments.get(_PICTURES)
    if moments is None or moments.count < 2:
        raise PictureError(
            f"{task.pictures.folder}: statistics need two pictures that can be read; name another folder"
        )
    return Statistics(
        gaussian=moments.gaussian(),
        count=moments.count,
        settings=settings | outcome,
    )


def _measure(task: StatisticsTask, numbers: range) -> Iterator[Measured]:
    for batch in task.pictures.read(
        numbers, batch_size=task.batch_size, prepare=lambda image: adm_crop(image, task.size)
    ):
        features = {_PICTURES: task.inception(np.stack(batch.images))} if batch.images else {}
        yield Measured(items=batch.items, features=features, skipped=batch.skipped)
