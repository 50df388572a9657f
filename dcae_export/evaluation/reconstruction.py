"""How close an autoencoder's reconstructions are to their pictures: rFID, PSNR, SSIM, LPIPS."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dcae_export.bundle.manifest import Manifest
from dcae_export.errors import BundleError, UsageError
from dcae_export.evaluation import published
from dcae_export.evaluation.figures import Metric, frechet_figure, mean_figure
from dcae_export.evaluation.inception_features import InceptionFeatures
from dcae_export.evaluation.lpips_distances import LPIPSDistances
from dcae_export.evaluation.pictures import EvaluatedPictures, ReadBatch, crop_text
from dcae_export.evaluation.result import Result
from dcae_export.evaluation.share import Course, measure_items
from dcae_export.evaluation.tally import Measured, Tally
from dcae_export.models.alexnet import ALEXNET_MIN_SIDE
from dcae_export.pictures.crops import adm_crop
from dcae_export.pictures.metrics import psnr_db, ssim
from dcae_export.pictures.picture_file import write_picture
from dcae_export.pictures.sheet import side_by_side
from dcae_export.runtime.autoencoder import Autoencoder
from dcae_export.runtime.guidance import filled

# The window of SSIM.
SSIM_MIN_SIDE: Final = 11
_NUM_SHEETS: Final = 8
_ORIGINAL, _RECONSTRUCTION = "original", "reconstruction"
_PSNR, _SSIM, _LPIPS = "psnr", "ssim", "lpips"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconstructionTask:
    """What is reconstructed, and what is measured of it.

    ``size`` is the side of the crops in pixels. ``inception`` and ``lpips`` are None where their metric is left out.
    ``settings`` are further ones that the figures depend on: where the graphs run, versions.
    """

    subject: str
    autoencoder: Autoencoder
    pictures: EvaluatedPictures
    size: int
    batch_size: int
    inception: InceptionFeatures | None
    lpips: LPIPSDistances | None
    dataset: published.Dataset | None
    settings: Mapping[str, str]


def measure_reconstruction(task: ReconstructionTask, course: Course) -> Result | None:
    """Reconstruct pictures and measure them, ADM's crop of each, quantised to 8 bits.

    Returns:
        The result in the main process, None in the others. Its pictures are in ``course.out``, where there is one.

    Raises:
        UsageError: A size that the bundle or LPIPS does not take.
        DcaeError: As ``Autoencoder.encode``, ``Autoencoder.decode`` and ``measure_items``.
    """
    _require_size(task)
    sheets = None
    if course.out is not None:
        course.make_folder()
        sheets = course.out / "sheets"
        sheets.mkdir(exist_ok=True)
    settings = _settings(task)
    tally = measure_items(
        partial(_measure, task, sheets),
        items=task.pictures.count,
        settings=settings | {"names": task.pictures.digest},
        course=course,
    )
    return None if tally is None else _result(task, tally, settings, sheets)


def _require_size(task: ReconstructionTask) -> None:
    factor = task.autoencoder.downsample
    if task.size % factor:
        raise UsageError(
            f"--size {task.size}: sides are multiples of {factor}; the nearest is "
            f"{max(1, round(task.size / factor)) * factor}"
        )
    if task.size < SSIM_MIN_SIDE or (task.lpips is not None and task.size < ALEXNET_MIN_SIDE):
        raise UsageError(
            f"--size {task.size}: SSIM needs {SSIM_MIN_SIDE} pixels a side and LPIPS {ALEXNET_MIN_SIDE}"
        )


def _measure(task: ReconstructionTask, sheets: Path | None, numbers: range) -> Iterator[Measured]:
    rows, fixed = _rows(task.autoencoder.bundle.manifest, task.batch_size)
    for batch in task.pictures.read(
        numbers, batch_size=rows, prepare=lambda image: adm_crop(image, task.size)
    ):
        if not batch.images:
            yield Measured(items=batch.items, skipped=batch.skipped)
            continue
        images = np.stack(batch.images)
        given = filled(images, rows) if fixed else images
        back = task.autoencoder.decode(task.autoencoder.encode(given))[: len(images)]
        if sheets is not None:
            _draw(task, batch, back, sheets)
        yield _measured(task, batch, images, back)


def _rows(manifest: Manifest, batch_size: int) -> tuple[int, bool]:
    """How many pictures one call takes, and whether it takes no other number."""
    rows = batch_size
    for name in ("encoder", "decoder"):
        if name not in manifest.graphs:
            raise BundleError(f"no {name} in this bundle; its graphs: {', '.join(manifest.graphs)}")
        graph = manifest.graphs[name]
        batch = graph.inputs[0].shape[0]
        if isinstance(batch, int):
            return batch, True
        rows = min(rows, graph.ranges["batch"].max)
    return rows, False


def _measured(
    task: ReconstructionTask,
    batch: ReadBatch,
    images: NDArray[np.uint8],
    back: NDArray[np.uint8],
) -> Measured:
    pairs = list(zip(images, back, strict=True))
    values = {
        _PSNR: [psnr_db(*pair) for pair in pairs],
        _SSIM: [ssim(*pair) for pair in pairs],
    }
    features: dict[str, NDArray[np.float32]] = {}
    if task.lpips is not None:
        values[_LPIPS] = task.lpips(images, back)
    if task.inception is not None:
        features = {_ORIGINAL: task.inception(images), _RECONSTRUCTION: task.inception(back)}
    return Measured(items=batch.items, values=values, features=features, skipped=batch.skipped)


def _draw(
    task: ReconstructionTask,
    batch: ReadBatch,
    back: NDArray[np.uint8],
    folder: Path,
) -> None:
    for number, image, reconstruction in zip(batch.numbers, batch.images, back, strict=True):
        if number in _drawn(task):
            label = Path(task.pictures.name(number)).name
            sheet = side_by_side(image, reconstruction, label=label)
            write_picture(_sheet_path(folder, number), sheet, force=True)


def _drawn(task: ReconstructionTask) -> list[int]:
    """The numbers of the pictures that a sheet is drawn of, spread evenly."""
    count = task.pictures.count
    return sorted({place * count // _NUM_SHEETS for place in range(_NUM_SHEETS)})


def _sheet_path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.png"


def _settings(task: ReconstructionTask) -> dict[str, str]:
    model = task.autoencoder.bundle.manifest.model
    return {
        "pictures": f"{task.pictures.count} of {len(task.pictures.names)} in {task.pictures.folder}",
        "crop": crop_text(task.size),
        "autoencoder": f"{model.preset}, weights {model.weights}, sha256 {model.weights_sha256}",
        "bundle": model.id,
        "Inception": "none" if task.inception is None else task.inception.source,
        "AlexNet": "none" if task.lpips is None else task.lpips.source,
        **task.settings,
    }


def _result(
    task: ReconstructionTask, tally: Tally, settings: dict[str, str], sheets: Path | None
) -> Result:
    preset = task.autoencoder.bundle.manifest.model.preset
    beside = published.find_reconstruction(preset, dataset=task.dataset, size=task.size)
    rfid = Metric(
        name="rFID",
        better="lower",
        missing="not measured: --inception names its weights" if task.inception is None else None,
        is_random=task.inception is not None and task.inception.is_random,
        published=beside.get("rFID"),
    )
    psnr = Metric(name="PSNR", better="higher", unit="dB", published=beside.get("PSNR"))
    similarity = Metric(name="SSIM", better="higher", published=beside.get("SSIM"))
    lpips = Metric(
        name="LPIPS",
        better="lower",
        missing="not measured: --alexnet names its weights" if task.lpips is None else None,
        is_random=task.lpips is not None and task.lpips.is_random,
        published=beside.get("LPIPS"),
    )
    titles = {
        _PSNR: "PSNR, dB",
        _SSIM: "SSIM",
        _LPIPS: "LPIPS's distance with random weights" if lpips.is_random else "LPIPS",
    }
    paths = () if sheets is None else [_sheet_path(sheets, number) for number in _drawn(task)]
    return Result(
        kind="reconstruction",
        subject=task.subject,
        settings=settings | task.pictures.outcome(tally.skipped),
        figures=(
            frechet_figure(rfid, tally.moments.get(_RECONSTRUCTION), tally.moments.get(_ORIGINAL)),
            mean_figure(psnr, tally.values.get(_PSNR, [])),
            mean_figure(similarity, tally.values.get(_SSIM, [])),
            mean_figure(lpips, tally.values.get(_LPIPS, [])),
        ),
        distributions={
            title: tuple(tally.values[name])
            for name, title in titles.items()
            if name in tally.values
        },
        # None is drawn of a picture that could not be read.
        pictures=tuple(path for path in paths if path.exists()),
    )
