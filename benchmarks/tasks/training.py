"""A few steps of an autoencoder's training at full size: seconds, losses and the peak of a fresh process."""

import importlib
import itertools
import tempfile
import time
from pathlib import Path

import cv2
import skimage.data

from benchmarks.machine import forget_peak, peak_bytes

PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket")


def write_photographs(folder: Path) -> Path:
    """Write some of scikit-image's photographs into a new folder."""
    folder.mkdir(parents=True)
    for name in PHOTOGRAPHS:
        picture = getattr(skimage.data, name)()
        cv2.imwrite(str(folder / f"{name}.png"), picture[..., ::-1])
    return folder


def train_steps(recipe: str, init_from: str | None, settings: dict[str, str]) -> dict[str, object]:
    """Train as a shipped recipe says but for ``settings``, on photographs, into a folder that is thrown away.

    ``steps_peak_bytes`` is that of the steps after the first, without the beginning, checkpoints and the end.
    """
    recipe_files = importlib.import_module("dcae_export.recipe_files")
    recipes = importlib.import_module("dcae_export.training.autoencoder.recipe")
    yaml_file = importlib.import_module("dcae_export.yaml_file")
    training = importlib.import_module("dcae_export.training.autoencoder.training")
    events = importlib.import_module("dcae_export.training.engine.events")
    path = recipe_files.find_recipe(recipe, kind="train")
    chosen = yaml_file.load(path, recipes.AutoencoderRecipe, overrides=settings)
    chosen = chosen.model_copy(update={"init_from": init_from})
    steps: list[dict[str, float]] = []
    moments = [time.perf_counter()]
    peaks: list[int] = []

    def on_event(event: object) -> None:
        if isinstance(event, events.StepDone):
            moments.append(time.perf_counter())
            steps.append(event.losses)
            peaks.append(peak_bytes())
            forget_peak()

    with tempfile.TemporaryDirectory() as folder:
        pictures = write_photographs(Path(folder) / "pictures")
        run = Path(folder) / "run"
        run.mkdir()
        training.train_autoencoder(chosen, data=pictures, out=run, resume=False, on_event=on_event)
    return {
        # The first has the start of the process in it.
        "step_seconds": [later - earlier for earlier, later in itertools.pairwise(moments)],
        "losses": steps,
        "steps_peak_bytes": max(peaks[1:]),
        "peak_bytes": max(*peaks, peak_bytes()),
    }
