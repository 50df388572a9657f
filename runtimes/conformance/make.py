"""Make the suite: bundles by the exporter, and what a runtime has to give for each case.

python -m runtimes.conformance.make FOLDER
"""

import json
import platform
from pathlib import Path

import click
import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from runtimes.conformance.bundles import export_bundles
from runtimes.conformance.cases import CASES, Cases, read_cases
from runtimes.conformance.reference import ReferenceBundle
from runtimes.conformance.suite import Suite


def make_suite(folder: Path, cases: Cases | None = None) -> Suite:
    """Make the suite of ``cases`` in a folder, the bundles included."""
    cases = read_cases() if cases is None else cases
    suite = Suite(folder)
    bundles = export_bundles(suite.bundles)
    _add_tables(bundles, cases)
    write_expectations(suite, cases)
    return suite


def write_expectations(suite: Suite, cases: Cases) -> None:
    """Write the pictures of the cases and what they have to become, for bundles that are there."""
    for path in (suite.pictures, suite.golden):
        path.mkdir(exist_ok=True)
    for name, picture in cases.pictures.items():
        width, height = picture.size
        _write_picture(suite.picture(name), _noise_picture(height, width, picture.seed))
    opened = {path.name: ReferenceBundle(path) for path in suite.bundles.iterdir() if path.is_dir()}
    for case in cases.generations:
        name = case.request.picture
        latents, pictures = opened[case.bundle].generate(
            case.request, None if name is None else suite.read_picture(suite.picture(name))
        )
        np.savez(suite.golden / f"{case.name}.npz", latents=latents, pictures=pictures)
    for case in cases.roundtrips:
        bundle = opened[case.bundle]
        picture = suite.read_picture(suite.picture(case.picture))
        height, width = picture.shape[:2]
        factor = bundle.manifest["latent"]["downsample"]
        padded = np.pad(picture, ((0, -height % factor), (0, -width % factor), (0, 0)), "edge")
        latent = bundle.encode(padded)
        (back,) = bundle.decode(latent)
        np.savez(
            suite.golden / f"{case.name}.npz",
            latent=latent,
            picture=back,
            height=height,
            width=width,
        )
    suite.made_with.write_text(
        json.dumps({"onnxruntime": onnxruntime.__version__, "machine": platform.machine()})
    )


def _add_tables(bundles: dict[str, Path], cases: Cases) -> None:
    """Add the suite's own samplers to manifests: tables are data, and need no solver."""
    for name, tables in cases.tables.items():
        path = bundles[name] / "manifest.json"
        manifest = json.loads(path.read_text())
        manifest["samplers"]["tables"].update(tables)
        for key, table in _beginnings(manifest["samplers"]["tables"]).items():
            manifest["samplers"]["tables"][key] = table
        path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def _beginnings(tables: dict[str, dict]) -> dict[str, dict]:
    """Each table cut after each of its rows: the results of these are the states of a whole run."""
    return {
        f"{name.partition(':')[0]}-begun:{count}": table | {"rows": table["rows"][:count]}
        for name, table in tables.items()
        if table["time_features"] is None
        for count in range(1, len(table["rows"]))
    }


def _noise_picture(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    assert cv2.imwrite(str(path), picture[:, :, ::-1])


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    """Make the suite in FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    make_suite(folder)
    click.echo(f"{folder}: made of {CASES.name}")


if __name__ == "__main__":
    main()
