"""SD-VAE, the autoencoder that DC-AE is measured against: diffusers' networks in the form of ours.

What is notable:
- ``encode`` gives the mean of the posterior and samples nothing; who wants to takes ``Encoder.posterior``;
- the layers are those of diffusers' ``AutoencoderKL``, which is imported when a network is built;
- no shortcut crosses a change of resolution: that is what DC-AE's residual autoencoding adds.

Shape suffixes: B batch, C channels, H height, W width, z latent channels, h and w the latent grid.
"""

from torch import Tensor, nn

from dcae_export.models.sd_vae_config import SDVAEConfig, to_autoencoder_kl

# Bounds on the logarithm of the variance, as the published code has them (CompVis' and diffusers').
_LOG_VARIANCE = (-30.0, 20.0)


class Encoder(nn.Module):
    """Image (B, 3, H, W) in [-1, 1] to the posterior's mean (B, z, H / downsample, W / downsample)."""

    def __init__(self, network: nn.Module, quant_conv: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.quant_conv = quant_conv

    def forward(self, image_BCHW: Tensor) -> Tensor:
        # The first half of the channels is the mean, the second the logarithm of the variance.
        mean_Bzhw, _ = self.quant_conv(self.network(image_BCHW)).chunk(2, dim=1)
        return mean_Bzhw

    def posterior(self, image_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Image (B, 3, H, W) in [-1, 1] to mean and standard deviation of its raw latent, (B, z, h, w) each."""
        mean_Bzhw, log_variance_Bzhw = self.quant_conv(self.network(image_BCHW)).chunk(2, dim=1)
        return mean_Bzhw, (0.5 * log_variance_Bzhw.clamp(*_LOG_VARIANCE)).exp()


class Decoder(nn.Module):
    """Raw latent (B, z, h, w) to image (B, 3, h * downsample, w * downsample), not clamped."""

    def __init__(self, network: nn.Module, post_quant_conv: nn.Module) -> None:
        super().__init__()
        self.post_quant_conv = post_quant_conv
        self.network = network

    def forward(self, latent_Bzhw: Tensor) -> Tensor:
        return self.network(self.post_quant_conv(latent_Bzhw))


class SDVAE(nn.Module):
    """Encoder and decoder of one configuration."""

    def __init__(self, config: SDVAEConfig) -> None:
        """Build the networks.

        Raises:
            ModuleNotFoundError: diffusers is not installed.
        """
        super().__init__()
        # Seconds to import, for one kind of autoencoder.
        from diffusers import (  # noqa: PLC0415
            AutoencoderKL,  # pyright: ignore[reportPrivateImportUsage] - exported lazily
        )

        self.config = config
        fields = to_autoencoder_kl(config)
        parts = AutoencoderKL.from_config(fields)  # pyright: ignore[reportUnknownMemberType]
        assert isinstance(parts, AutoencoderKL)
        assert parts.quant_conv is not None
        assert parts.post_quant_conv is not None
        self.encoder = Encoder(parts.encoder, parts.quant_conv)
        self.decoder = Decoder(parts.decoder, parts.post_quant_conv)

    def encode(self, image_BCHW: Tensor) -> Tensor:
        """Image (B, 3, H, W) in [-1, 1] to the posterior's mean, the raw latent (B, z, h, w)."""
        return self.encoder(image_BCHW)

    def decode(self, latent_Bzhw: Tensor) -> Tensor:
        """Raw latent (B, z, h, w) to image (B, 3, H, W), not clamped."""
        return self.decoder(latent_Bzhw)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        return self.decode(self.encode(image_BCHW))
