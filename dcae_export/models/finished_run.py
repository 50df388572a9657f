"""The folder of a training run, as weights."""

from pathlib import Path

from dcae_export.errors import WeightsError
from dcae_export.models.checkpoint_folder import CONFIG_NAME

RECIPE_NAME = "recipe.yaml"
MODEL_NAME = "model"


def is_run(path: Path) -> bool:
    """Whether a path is the folder of a training run, which has its recipe and is no checkpoint itself."""
    return (path / RECIPE_NAME).is_file() and not (path / CONFIG_NAME).exists()


def model_of(run: Path) -> Path:
    """The checkpoint that a run left when it reached its last step, in the diffusers layout.

    Raises:
        WeightsError: The run is not finished.
    """
    model = run / MODEL_NAME
    if not model.is_dir():
        raise WeightsError(
            f"{run}: a training run that is not finished; dcae train autoencoder {run / RECIPE_NAME} "
            f"--data FOLDER --out {run} --resume goes on with it"
        )
    return model
