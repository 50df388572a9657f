"""What the demo model's autoencoder is to reach on pictures that it was not trained on, and what it reaches.

Drawn pictures and photographs of scikit-image that are held out. How each figure comes about is said in
``benchmarks.tasks.demo_reconstruction``.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.process import WorkerProcess
from benchmarks.results import Results
from dcae_export.bundle.reader import Bundle
from dcae_export.errors import UsageError
from recipes.demo.table import FAMILIES

RECONSTRUCTED, BEFORE = "bundle", "before"
THUMBNAIL, JPEG = "bicubic", "jpeg"
PHOTOGRAPHS = ("astronaut.png", "coffee.png")
# PSNR above bicubic's.
DRAWN_GOAL_DB = 4.0
PHOTOGRAPH_GOAL_DB = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """``count`` pictures of each family at ``side`` px; of them ``larger_count`` at ``larger`` sides, too."""

    side: int = 512
    count: int = 20
    larger: tuple[int, ...] = (1024, 2048)
    larger_count: int = 3
    shown: int = 320


def measure_reconstruction(
    bundle: Path, before: Path | None, held_out: HeldOut, work: Path, results: Results
) -> Path:
    """Measure what the results do not hold, and draw the sheet.

    Args:
        bundle: The bundle that the goals are for.
        before: An earlier one of the same network to set beside it; None for none.
        held_out: The pictures.
        work: Where the sheet is written.
        results: Where figures go.

    Returns:
        The sheet.

    Raises:
        UsageError: The results are of other bundles or pictures, or the bundles' latents differ.
        BundleError: A bundle cannot be read.
        WorkerError: A measurement failed.
    """
    folders = {RECONSTRUCTED: str(bundle)} | ({} if before is None else {BEFORE: str(before)})
    setting = {**asdict(held_out), "bundles": _identify(folders)}
    results.rest_on("setting", "demo", setting, named="other bundles or pictures")
    sides = [held_out.side, *held_out.larger]
    with WorkerProcess() as worker:
        for family in FAMILIES:
            if results.wants("drawn", family):
                cell = worker.call(
                    "demo family",
                    bundles=folders,
                    family=family,
                    side=held_out.side,
                    count=held_out.count,
                )
                results.put("drawn", family, cell)
        for name in PHOTOGRAPHS:
            if results.wants("photographs", name):
                cell = worker.call(
                    "demo photograph", bundles=folders, name=name, side=held_out.side
                )
                results.put("photographs", name, cell)
        for family in FAMILIES:
            if results.wants("sizes", family):
                cell = worker.call(
                    "demo sizes",
                    bundles=folders,
                    family=family,
                    sides=sides,
                    count=held_out.larger_count,
                )
                results.put("sizes", family, cell)
        sheet = work / "demo" / "reconstruction.png"
        worker.call(
            "demo reconstruction sheet",
            bundle=str(bundle),
            photographs=PHOTOGRAPHS,
            side=held_out.side,
            shown=held_out.shown,
            path=str(sheet),
        )
    _measure_costs(bundle, max(sides), results)
    return sheet


def _measure_costs(bundle: Path, side: int, results: Results) -> None:
    key = f"{side} px"
    if results.wants("costs", key):
        with WorkerProcess() as worker:
            cell = worker.call("reconstruct once", bundle=str(bundle), side=side)
        results.put("costs", key, cell)


def _identify(folders: dict[str, str]) -> dict[str, str]:
    manifests = {name: Bundle.open(folder).manifest for name, folder in folders.items()}
    grids = {(one.latent.channels, one.latent.downsample) for one in manifests.values()}
    if len(grids) > 1:
        raise UsageError(
            "the bundles' latents differ; give --before an earlier bundle of the same network"
        )
    return {name: manifest.model.id for name, manifest in manifests.items()}
