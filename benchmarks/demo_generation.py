"""Whether the demo model generates its classes, and not its training pictures.

A classifier that is trained on drawn pictures names 500 generated ones, once it has named held-out pictures, as they
are drawn and as the autoencoder gives them back. How each figure comes about is said in
``benchmarks.tasks.demo_generation``.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.process import WorkerProcess
from benchmarks.results import Results
from dcae_export.bundle.reader import Bundle
from dcae_export.errors import UsageError
from recipes.demo.table import FAMILIES

CLASSES = tuple(sorted(FAMILIES))
# Shares that are named right.
HELD_OUT_GOAL = 0.95
GENERATED_GOAL = 0.8
# A generated picture is suspiciously near where fewer held-out ones of its class, in percent, are as near.
NEAR_PERCENTILE = 1

_CLASSIFIER = "on drawn pictures"
_SEED = 0
_PAIRS_PER_CLASS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Generated:
    """``count`` generated and ``held_out`` held-out pictures of each class, and how the classifier is trained.

    ``shown`` pixels of a sheet are for each of ``columns`` pictures of a class.
    """

    count: int = 50
    held_out: int = 100
    classifier_pictures: int = 400
    classifier_epochs: int = 6
    columns: int = 5
    shown: int = 256


def measure_demo_generation(
    bundle: Path, pictures: Path, generated: Generated, work: Path, results: Results
) -> tuple[Path, Path]:
    """Measure what the results do not hold, and draw the sheets.

    Generated pictures and the classifier stay in ``work``; where they are gone, they are made again.

    Args:
        bundle: The bundle, whose classes are the demo's families.
        pictures: What its transformer was trained on: FAMILY/NUMBER.png.
        generated: How many of what.
        work: What is kept.
        results: Where figures go.

    Returns:
        The sheet of all classes, and that of the generated pictures which are nearest to training pictures.

    Raises:
        UsageError: The bundle has other classes, or the results are of another bundle or other numbers.
        BundleError: The bundle cannot be read.
        WorkerError: A measurement failed.
    """
    model_id = _identify(bundle)
    setting = {**asdict(generated), "bundle": model_id}
    results.rest_on("setting", "demo", setting, named="another bundle or other numbers of pictures")
    there = work / "demo" / model_id[:12]
    weights = work / "demo" / "classifier.safetensors"
    common = {"bundle": str(bundle), "weights": str(weights), "pictures": str(pictures)}
    with WorkerProcess() as worker:
        _train_classifier(worker, weights, generated, results)
        for family in CLASSES:
            if results.wants("held out", family):
                cell = worker.call(
                    "measure held-out class", family=family, count=generated.held_out, **common
                )
                results.put("held out", family, cell)
        for family in CLASSES:
            files = _files(there / family, generated.count)
            if results.wants("generated", family) or not all(file.exists() for file in files):
                cell = worker.call(
                    "generate class", family=family, files=[str(file) for file in files], **common
                )
                results.put("generated", family, cell)
        return _draw_sheets(worker, there, pictures, generated, results)


def _train_classifier(
    worker: WorkerProcess, weights: Path, generated: Generated, results: Results
) -> None:
    wanted = results.wants("classifier", _CLASSIFIER)
    if not wanted and weights.exists():
        held = results.document["classifier"][_CLASSIFIER]
        assert isinstance(held, dict)
        if held["cell"]["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest():
            return
    cell = worker.call(
        "train demo classifier",
        weights=str(weights),
        count=generated.classifier_pictures,
        epochs=generated.classifier_epochs,
        seed=_SEED,
    )
    results.put("classifier", _CLASSIFIER, cell)


def _draw_sheets(
    worker: WorkerProcess, there: Path, pictures: Path, generated: Generated, results: Results
) -> tuple[Path, Path]:
    classes: dict[str, list[str]] = {}
    pairs: dict[str, list[str]] = {}
    columns = min(generated.columns, generated.count)
    near = min(_PAIRS_PER_CLASS, generated.count)
    for family in CLASSES:
        files = _files(there / family, generated.count)
        classes[family] = [str(file) for file in files[:columns]]
        entry = results.document["generated"][family]
        assert isinstance(entry, dict)
        distances, nearest = entry["cell"]["distances"], entry["cell"]["nearest"]
        nearest_first = sorted(range(generated.count), key=distances.__getitem__)[:near]
        pairs[family] = [
            str(path)
            for number in nearest_first
            for path in (files[number], pictures / nearest[number])
        ]
    sheets = there / "classes.png", there / "nearest.png"
    named = ([f"{number}" for number in range(columns)], ["generated", "nearest"] * near)
    for rows, names, path in zip((classes, pairs), named, sheets, strict=True):
        worker.call(
            "demo generation sheet", rows=rows, columns=names, shown=generated.shown, path=str(path)
        )
    return sheets


def _files(folder: Path, count: int) -> list[Path]:
    return [folder / f"{number:03}.png" for number in range(count)]


def _identify(bundle: Path) -> str:
    manifest = Bundle.open(bundle).manifest
    names = None if manifest.conditioning is None else manifest.conditioning.class_names
    if names != CLASSES:
        raise UsageError(
            f"{bundle}: generates other classes than the demo's; name a bundle of its transformer"
        )
    return manifest.model.id
