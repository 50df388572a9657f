"""One face for the kinds of autoencoder: DC-AE, and the SD-VAE that it is measured against.

Both have ``encoder`` and ``decoder``, ``encode`` and ``decode``; their configurations have ``latent_channels``,
``downsample`` and ``scaling_factor``. What differs between them is chosen here, by the configuration's type.
"""

from typing import assert_never

from dcae_export.errors import ConfigError
from dcae_export.models import diffusers_config, sd_vae_config
from dcae_export.models.autoencoder import Autoencoder, AutoencoderConfig
from dcae_export.models.key_map import Entry, Layout, key_map
from dcae_export.models.sd_vae import SDVAE
from dcae_export.models.sd_vae_config import SDVAEConfig
from dcae_export.models.sd_vae_keys import sd_vae_key_map

NetworkConfig = AutoencoderConfig | SDVAEConfig
Network = Autoencoder | SDVAE


def build(config: NetworkConfig) -> Network:
    """The networks of a configuration, with PyTorch's starting values."""
    match config:
        case AutoencoderConfig():
            return Autoencoder(config)
        case SDVAEConfig():
            return SDVAE(config)
        case _:
            assert_never(config)


def entries(config: NetworkConfig, layout: Layout) -> tuple[Entry, ...]:
    """Where a layout keeps each tensor, in the order of the network's state dict.

    Raises:
        ConfigError: SD-VAE in the official layout, which is DC-AE's.
    """
    match config:
        case AutoencoderConfig():
            return key_map(config, layout)
        case SDVAEConfig() if layout is Layout.DIFFUSERS:
            return sd_vae_key_map(config)
        case SDVAEConfig():
            raise ConfigError("an SD-VAE has the diffusers layout only")
        case _:
            assert_never(config)


def from_diffusers(fields: dict[str, object]) -> NetworkConfig:
    """The configuration that a config.json of diffusers declares.

    Raises:
        WeightsError: The file is of another class, or a field is unknown or malformed.
        ConfigError: The fields contradict each other.
    """
    if fields.get("_class_name") == sd_vae_config.CLASS_NAME:
        return sd_vae_config.from_autoencoder_kl(fields)
    return diffusers_config.from_diffusers(fields)


def to_diffusers(config: NetworkConfig) -> dict[str, object]:
    """The content of a config.json of diffusers.

    Raises:
        ConfigError: diffusers has no field for what the configuration says.
    """
    match config:
        case AutoencoderConfig():
            return diffusers_config.to_diffusers(config)
        case SDVAEConfig():
            return sd_vae_config.to_autoencoder_kl(config)
        case _:
            assert_never(config)
