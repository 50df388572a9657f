"""Tell which published autoencoder a checkpoint holds, from what its config.json and tensors say."""

import dataclasses

from dcae_export.errors import WeightsError
from dcae_export.models.autoencoder import ResStage, Stage
from dcae_export.models.key_map import COUNTER, Layout
from dcae_export.models.network import NetworkConfig, entries, from_diffusers
from dcae_export.models.presets import PRESETS, preset_name
from dcae_export.models.sd_vae_config import SDVAEConfig
from dcae_export.models.sd_vae_keys import is_sd_vae
from dcae_export.models.transformer_presets import TRANSFORMERS

CUSTOM = "custom"

Shapes = dict[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """A configuration and the preset that it is of, or ``"custom"``."""

    preset: str
    config: NetworkConfig


def identify(
    declaration: dict[str, object] | None, shapes: Shapes, layout: Layout, *, variant: str | None
) -> Identity:
    """The identity that config.json (None where there is none), tensors and ``variant`` agree on.

    Several presets share one graph and differ in their weights and scaling factor: tensors alone cannot tell
    them apart, so ``variant`` is asked for instead of guessed.

    Raises:
        WeightsError: They contradict each other, or do not decide.
        UsageError: No such variant.
    """
    wanted = None if variant is None else preset_name(variant)
    if declaration is None:
        return _of_preset(wanted or _only(_fitting(shapes, layout), "these tensors"))
    if "_class_name" in declaration:
        return _by_diffusers_config(from_diffusers(declaration), wanted)
    return _by_model_name(declaration.get("model_name"), wanted)


def preset_of(config: NetworkConfig) -> str:
    """The preset that has this configuration, ``"custom"`` if there is none.

    Raises:
        WeightsError: Several presets have it.
    """
    found = _having(config)
    return _only(found, "this configuration") if found else CUSTOM


def has_graph_of(config: NetworkConfig, variant: str) -> bool:
    """Whether a configuration is a variant's but for the scaling factor, which a training measures anew.

    Raises:
        UsageError: No such variant.
    """
    published = PRESETS[preset_name(variant)].config
    measured = dataclasses.replace(published, scaling_factor=config.scaling_factor)
    return _essence(measured) == _essence(config)


def _of_preset(name: str) -> Identity:
    return Identity(preset=name, config=PRESETS[name].config)


def _by_model_name(model_name: object, wanted: str | None) -> Identity:
    if not isinstance(model_name, str):
        raise WeightsError("config.json has neither model_name nor _class_name")
    # Repositories name what they hold; for DC-AE Lite it is not the preset's name. A diffusion transformer's
    # repository also holds its autoencoder.
    repositories = {
        preset.repository.rpartition("/")[2]: name
        for name, preset in PRESETS.items()
        if preset.repository is not None
    }
    repositories |= {name: preset.autoencoder for name, preset in TRANSFORMERS.items()}
    declared = model_name if model_name in PRESETS else repositories.get(model_name)
    if declared is None and wanted is None:
        raise WeightsError(
            f"config.json: unknown model_name {model_name!r}; say which variant it is"
        )
    if declared and wanted and declared != wanted:
        raise WeightsError(f"config.json says {declared}, but {wanted} was asked for")
    return _of_preset(declared or wanted or CUSTOM)


def _by_diffusers_config(config: NetworkConfig, wanted: str | None) -> Identity:
    if wanted is None:
        return Identity(preset=preset_of(config), config=config)
    if wanted not in _having(config):
        raise WeightsError(
            f"config.json is not that of {wanted} (scaling_factor {config.scaling_factor}, "
            f"{config.downsample}x, {config.latent_channels} latent channels)"
        )
    return Identity(preset=wanted, config=config)


def _having(config: NetworkConfig) -> list[str]:
    wanted = _essence(config)
    return [name for name, preset in PRESETS.items() if _essence(preset.config) == wanted]


def _essence(config: NetworkConfig) -> NetworkConfig:
    """The configuration without what has no effect: width, norm and activation of empty stages."""
    if isinstance(config, SDVAEConfig):
        return config
    return dataclasses.replace(
        config,
        encoder=dataclasses.replace(
            config.encoder, stages=tuple(_essential(stage) for stage in config.encoder.stages)
        ),
        decoder=dataclasses.replace(
            config.decoder, stages=tuple(_essential(stage) for stage in config.decoder.stages)
        ),
    )


def _essential(stage: Stage) -> Stage:
    return stage if stage.depth else ResStage(width=0, depth=0)


def _fitting(shapes: Shapes, layout: Layout) -> list[str]:
    present = {name: shape for name, shape in shapes.items() if not name.endswith(COUNTER)}
    sd_vae = layout is Layout.DIFFUSERS and is_sd_vae(present)
    return [
        name
        for name, preset in PRESETS.items()
        if isinstance(preset.config, SDVAEConfig) is sd_vae
        and present
        == {
            stored: entry.stored_shape
            for entry in entries(preset.config, layout)
            for stored in entry.names
            if not stored.endswith(COUNTER)
        }
    ]


def _only(presets: list[str], what: str) -> str:
    if not presets:
        raise WeightsError(
            f"{what} fit no published autoencoder; a config.json of diffusers beside them says "
            "what they are, or name a variant to see how they differ from it"
        )
    if len(presets) > 1:
        raise WeightsError(f"{what} fit {', '.join(presets)}: say which variant it is")
    return presets[0]
