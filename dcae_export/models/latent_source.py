"""Which autoencoder made latents: what a folder of them says, and the transformer that was trained on them."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from dcae_export.errors import ConfigError
from dcae_export.models.state import encoder_digest
from dcae_export.models.weights import AutoencoderCheckpoint


class LatentSource(BaseModel):
    """The autoencoder: preset (``"custom"`` for none), where it is from, and ``encoder_digest`` of its weights.

    The latents are multiplied by ``scaling_factor`` already. With ``random_weights`` they are of no use but to try.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    preset: str
    source: str
    encoder_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    scaling_factor: Annotated[float, Field(gt=0)]
    random_weights: bool

    @classmethod
    def of(cls, checkpoint: AutoencoderCheckpoint) -> Self:
        """What is said of the latents of a checkpoint.

        Raises:
            ConfigError: It has no scaling factor.
        """
        if checkpoint.config.scaling_factor is None:
            raise ConfigError(
                f"{checkpoint.source}: no scaling factor is published for {checkpoint.preset}; name weights "
                "whose config.json has scaling_factor, such as a training run"
            )
        return cls(
            preset=checkpoint.preset,
            # A path may hold what is no text.
            source=checkpoint.source.encode(errors="backslashreplace").decode(),
            encoder_sha256=encoder_digest(checkpoint.state),
            scaling_factor=checkpoint.config.scaling_factor,
            random_weights=checkpoint.has_random_weights,
        )
