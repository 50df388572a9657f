"""Find the weights that a user means: random or shipped ones, a local copy, or a repository of the hub."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from dcae_export import hub
from dcae_export.errors import HubError, UsageError, WeightsError
from dcae_export.models.checkpoint_folder import STEMS
from dcae_export.models.finished_run import is_run, model_of, trains_transformer
from dcae_export.models.identity import CUSTOM, has_graph_of
from dcae_export.models.presets import PRESETS, preset_name
from dcae_export.models.shipped import (
    AUTOENCODER_NAME,
    TRANSFORMER_NAME,
    shipped_part,
    source_name,
)
from dcae_export.models.tensor_files import INDEX_SUFFIX, SUFFIXES
from dcae_export.models.transformer_presets import transformer_name, transformer_preset
from dcae_export.models.transformer_weights import (
    TransformerCheckpoint,
    load_transformer_checkpoint,
    random_transformer_checkpoint,
)
from dcae_export.models.weights import AutoencoderCheckpoint, load_checkpoint, random_checkpoint
from dcae_export.random_name import is_random, seed_of

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
# What names weights where nothing else is said: in an export, those of both networks.
_WEIGHTS = "--weights"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """Weights on this machine, and how a bundle names where they came from."""

    path: Path
    source: str
    of_run: bool = False


def resolve(
    weights: str | None, *, variant: str | None, option: str = _WEIGHTS
) -> AutoencoderCheckpoint:
    """The checkpoint for ``random:SEED``, a file, a folder or ORG/NAME; None is the variant's official or shipped one.

    A folder may be that of a finished training run: it holds no published preset, and has a scaling factor of
    its own; ``variant`` says which graph it must have. ``option`` is what the user names weights by.

    Raises:
        UsageError: No such variant, none where one is needed, or a malformed seed.
        HubError: The repository cannot be fetched; the message names the ways on.
        WeightsError: There is nothing of that name, or it holds other weights, or none are public.
        RefusedError: A pickle that holds more than tensors.
    """
    if weights is None:
        return _official(variant, option)
    if is_random(weights):
        seed = seed_of(weights)
        if variant is None:
            raise UsageError(f"{weights}: say of which variant")
        return random_checkpoint(variant, seed=seed)
    found = _find(weights, _ways_on(option))
    if found.of_run and trains_transformer(Path(found.source)):
        raise WeightsError(
            f"{weights}: a run that trained a transformer, which dcae export takes by --transformer-weights; "
            f"{option} names an autoencoder's"
        )
    checkpoint = load_checkpoint(found.path, variant=None if found.of_run else variant)
    if found.of_run and variant is not None and not has_graph_of(checkpoint.config, variant):
        raise WeightsError(
            f"{weights}: a run that trained another network than {variant}; name a run of {variant}, or the "
            "variant that this one trained"
        )
    preset = CUSTOM if found.of_run else checkpoint.preset
    return dataclasses.replace(checkpoint, preset=preset, source=found.source)


def resolve_transformer(
    weights: str | None,
    *,
    name: str | None,
    autoencoder: str | None,
    option: str = _WEIGHTS,
) -> TransformerCheckpoint:
    """The same for a diffusion transformer; None is the published or shipped one of that name.

    Args:
        weights: As for ``resolve``.
        name: Which transformer; None where the weights say it, as those of a training run do.
        autoencoder: Whose latents it is for; None where the weights say it.
        option: As for ``resolve``.

    Raises:
        UsageError: No such transformer or autoencoder, none where one is needed, a malformed seed, or no weights are
            published.
        HubError, WeightsError, RefusedError: As ``resolve``.
    """
    if weights is None or is_random(weights):
        if name is None or autoencoder is None:
            raise UsageError(
                "say which transformer, and on whose latents: --transformer and --variant"
            )
        if weights is not None:
            return random_transformer_checkpoint(
                name, autoencoder=autoencoder, seed=seed_of(weights)
            )
        if transformer_name(name, autoencoder=autoencoder) == TRANSFORMER_NAME:
            return shipped_transformer()
        repository = _published_transformer(name, autoencoder, option)
        found = _on_hub(repository, _ways_on(option))
    else:
        found = _find(weights, _ways_on(option, may_be_random=name is not None))
        if found.of_run and not trains_transformer(Path(found.source)):
            raise WeightsError(
                f"{weights}: a run that trained an autoencoder, which dcae export takes by --weights; "
                "what is needed here is a transformer's"
            )
    checkpoint = load_transformer_checkpoint(found.path, name=name, autoencoder=autoencoder)
    return dataclasses.replace(checkpoint, source=found.source)


def shipped_transformer() -> TransformerCheckpoint:
    """The transformer that comes with this package, for the latents of the shipped autoencoder.

    Raises:
        WeightsError: It is missing or damaged.
    """
    checkpoint = load_transformer_checkpoint(shipped_part("transformer"))
    return dataclasses.replace(
        checkpoint, preset=TRANSFORMER_NAME, source=source_name("transformer")
    )


def _official(variant: str | None, option: str) -> AutoencoderCheckpoint:
    if variant is None:
        raise UsageError(f"say which weights: a variant, or {option}")
    name = preset_name(variant)
    if name == AUTOENCODER_NAME:
        return _shipped_autoencoder()
    found = _on_hub(_official_repository(name, option), _ways_on(option))
    return dataclasses.replace(load_checkpoint(found.path, variant=variant), source=found.source)


def _shipped_autoencoder() -> AutoencoderCheckpoint:
    folder = shipped_part("autoencoder")
    # Its scaling factor was measured by its training, so no preset has its configuration.
    checkpoint = load_checkpoint(folder)
    if not has_graph_of(checkpoint.config, AUTOENCODER_NAME):
        raise WeightsError(f"{folder}: is no {AUTOENCODER_NAME}; install dcae-export again")
    return dataclasses.replace(
        checkpoint, preset=AUTOENCODER_NAME, source=source_name("autoencoder")
    )


def _published_transformer(name: str, autoencoder: str, option: str) -> str:
    preset = transformer_preset(name, autoencoder=autoencoder)
    if preset.repository is None:
        raise UsageError(
            f"no weights are published for {name} on {preset.autoencoder}. Two ways on: "
            f"{option} PATH or ORG/NAME of your own; {option} random:SEED for a dry run"
        )
    return preset.repository


def _official_repository(preset: str, option: str) -> str:
    repository = PRESETS[preset].repository
    if repository is None:
        raise WeightsError(
            f"{preset}: no weights of it are public; {option} PATH takes what you trained yourself, "
            f"{option} random:SEED random ones for a dry run"
        )
    return repository


def _find(weights: str, ways_on: str) -> _Found:
    path = Path(weights).expanduser()
    if is_run(path):
        return _Found(path=model_of(path), source=str(path), of_run=True)
    if path.exists() or path.name.endswith(SUFFIXES):
        return _Found(path=path, source=str(path))
    if not hub.is_repository_name(weights):
        raise WeightsError(f"{weights}: no such file or folder, and no ORG/NAME of the hub")
    try:
        return _on_hub(weights, ways_on)
    except HubError as error:
        # A mistyped path may look like a repository's name.
        raise HubError(
            f"no such file or folder here: {weights}; and of the hub: {error}"
        ) from error


def _on_hub(repository: str, ways_on: str) -> _Found:
    try:
        return _Found(path=hub.fetch(repository, allow=_PATTERNS), source=repository)
    except HubError as error:
        raise HubError(f"{error}. {ways_on}") from error


def _ways_on(option: str, *, may_be_random: bool = True) -> str:
    dry_run = f"{option} random:SEED for a dry run; " if may_be_random else ""
    return (
        f"Ways on: {option} PATH of a local copy; {dry_run}"
        "HF_ENDPOINT=URL of a mirror that can be reached, or HF_TOKEN for a private repository"
    )
