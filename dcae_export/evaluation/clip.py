"""How well pictures fit their captions: CLIP score."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from dcae_export.evaluation.captions import Captions
from dcae_export.evaluation.clip_model import CLIP
from dcae_export.evaluation.figures import Metric, mean_figure
from dcae_export.evaluation.pictures import EvaluatedPictures
from dcae_export.evaluation.result import Result
from dcae_export.evaluation.share import Course, measure_items
from dcae_export.evaluation.tally import Measured

_SCORE = "score"


@dataclass(frozen=True, kw_only=True, slots=True)
class CLIPTask:
    """Pictures, their captions, and what sees both."""

    pictures: EvaluatedPictures
    captions: Captions
    clip: CLIP
    batch_size: int
    settings: Mapping[str, str]


def measure_clip(task: CLIPTask, course: Course) -> Result | None:
    """Score every picture against its caption, and take the mean.

    Returns:
        The result in the main process, None in the others.

    Raises:
        InputError: A picture has no caption.
        DcaeError: As ``measure_items``.
    """
    # All of them before the first is scored.
    for number in range(task.pictures.count):
        task.captions.of(task.pictures.name(number))
    course.make_folder()
    settings = {
        "pictures": f"{task.pictures.count} of {len(task.pictures.names)} in {task.pictures.folder}",
        "CLIP": task.clip.source,
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
    scores = tally.values.get(_SCORE, [])
    return Result(
        kind="clip",
        subject=str(task.pictures.folder),
        settings=settings | task.pictures.outcome(tally.skipped),
        figures=(mean_figure(Metric(name="CLIP score", better="higher"), scores),),
        distributions={"CLIP score": tuple(scores)},
        pictures=(),
    )


def _measure(task: CLIPTask, numbers: range) -> Iterator[Measured]:
    for batch in task.pictures.read(numbers, batch_size=task.batch_size, prepare=task.clip.prepare):
        captions = [task.captions.of(task.pictures.name(number)) for number in batch.numbers]
        scores = task.clip.scores(batch.images, captions) if batch.images else []
        yield Measured(items=batch.items, values={_SCORE: scores}, skipped=batch.skipped)
