"""Find the weights that a user means: random ones, a local copy, or a repository of the hub."""

import dataclasses
from pathlib import Path

from dcae_export import hub
from dcae_export.errors import HubError, UsageError, WeightsError
from dcae_export.models.checkpoint_folder import STEMS
from dcae_export.models.presets import PRESETS, preset_name
from dcae_export.models.tensor_files import INDEX_SUFFIX, SUFFIXES
from dcae_export.models.weights import Checkpoint, load_checkpoint, random_checkpoint

_RANDOM = "random:"
# Patterns without a leading "*": a pipeline's repository also holds other networks, which are large.
_FILES = (
    "config.json",
    "README.md",
    *(
        f"{stem}{rest}"
        for stem in STEMS.values()
        for rest in (".safetensors", INDEX_SUFFIX, "-?????-of-?????.safetensors")
    ),
)
_PATTERNS = (*_FILES, *(f"vae/{name}" for name in _FILES))
_WAYS_ON = (
    "Three ways on: --weights PATH of a local copy; --weights random:SEED for a dry run; "
    "HF_ENDPOINT=URL of a mirror that can be reached, or HF_TOKEN for a private repository"
)


def resolve(weights: str | None, *, variant: str | None) -> Checkpoint:
    """The checkpoint for ``random:SEED``, a file, a folder or ORG/NAME; None is the variant's official one.

    Raises:
        UsageError: No such variant, none where one is needed, or a malformed seed.
        HubError: The repository cannot be fetched; the message names the ways on.
        WeightsError: There is nothing of that name, or it holds other weights.
        RefusedError: A pickle that holds more than tensors.
    """
    if weights is None:
        if variant is None:
            raise UsageError("say which weights: a variant, or --weights")
        return _from_hub(PRESETS[preset_name(variant)].repository, variant=variant)
    if weights.startswith(_RANDOM):
        return _random(weights.removeprefix(_RANDOM), variant=variant)
    path = Path(weights).expanduser()
    if path.exists() or path.name.endswith(SUFFIXES):
        return load_checkpoint(path, variant=variant)
    if hub.is_repository_name(weights):
        return _from_hub(weights, variant=variant)
    raise WeightsError(f"{weights}: no such file or folder, and no ORG/NAME of the hub")


def _random(seed: str, *, variant: str | None) -> Checkpoint:
    if not (seed.isascii() and seed.isdecimal()):
        raise UsageError(f"{_RANDOM}{seed}: the seed is a number from 0 on, as in random:0")
    if variant is None:
        raise UsageError(f"{_RANDOM}{seed}: say of which variant")
    return random_checkpoint(variant, seed=int(seed))


def _from_hub(repository: str, *, variant: str | None) -> Checkpoint:
    try:
        folder = hub.fetch(repository, allow=_PATTERNS)
    except HubError as error:
        raise HubError(f"{error}. {_WAYS_ON}") from error
    return dataclasses.replace(load_checkpoint(folder, variant=variant), source=repository)
