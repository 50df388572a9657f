"""The folder of a training run, as weights."""

from pathlib import Path

from dcae_export.errors import WeightsError
from dcae_export.models.checkpoint_folder import CONFIG_NAME

RECIPE_NAME = "recipe.yaml"
MODEL_NAME = "model"
TRANSFORMER_NAME = "transformer.json"
"""What a run trains where that is a diffusion transformer, from its first step on."""


def is_run(path: Path) -> bool:
    """Whether a path is the folder of a training run, which has its recipe and is no checkpoint itself."""
    return (path / RECIPE_NAME).is_file() and not (path / CONFIG_NAME).exists()


def trains_transformer(run: Path) -> bool:
    """Whether a run trains a diffusion transformer; if not, it trains an autoencoder."""
    return (run / TRANSFORMER_NAME).is_file()


def model_of(run: Path) -> Path:
    """The checkpoint that a run left when it reached its last step.

    Raises:
        WeightsError: The run is not finished.
    """
    model = run / MODEL_NAME
    if not model.is_dir():
        command = "diffusion" if trains_transformer(run) else "autoencoder"
        raise WeightsError(
            f"{run}: a training run that is not finished; dcae train {command} {run / RECIPE_NAME} "
            f"--data FOLDER --out {run} --resume goes on with it"
        )
    return model
