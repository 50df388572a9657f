"""An autoencoder as two sequences of parts, in the order of the forward pass."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from torch import Tensor, nn

from dcae_export.models.autoencoder import Autoencoder
from dcae_export.models.network import Network
from dcae_export.models.sd_vae import SDVAE


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """Modules to run one after the other; every parameter and buffer of a network is in exactly one.

    ``encoder`` takes an image (B, 3, H, W) in [-1, 1] to the raw latent (B, z, h, w), ``decoder`` takes that to
    an image (B, 3, H, W), not clamped.
    """

    encoder: tuple[nn.Module, ...]
    decoder: tuple[nn.Module, ...]


class PosteriorMean(nn.Module):
    """Keep the mean of a posterior's moments: (B, 2z, h, w) to (B, z, h, w)."""

    def forward(self, moments_B2zhw: Tensor) -> Tensor:
        return moments_B2zhw.chunk(2, dim=1)[0]


def parts(network: Network) -> Parts:
    """The parts of a network; they share its modules.

    Of a DC-AE: the first convolution, each block and each change of resolution, the last convolution, which for
    the decoder comes with the norm and the activation before it. Of an SD-VAE: the first convolution, each of
    diffusers' blocks, which are a resolution each, and the output's norm, activation and convolution; the
    convolutions on either side of the latent belong to the part beside them.
    """
    match network:
        case Autoencoder():
            encoder, decoder = network.encoder, network.decoder
            return Parts(
                encoder=(encoder.conv_in, *_blocks(encoder.stages), encoder.conv_out),
                decoder=(
                    decoder.conv_in,
                    *_blocks(reversed(decoder.stages)),
                    nn.Sequential(decoder.norm_out, decoder.activation_out, decoder.conv_out),
                ),
            )
        case SDVAE():
            encoder, decoder = network.encoder, network.decoder
            to_moments = nn.Sequential(*_output(encoder.network), encoder.quant_conv)
            from_latent = nn.Sequential(decoder.post_quant_conv, _part(decoder.network, "conv_in"))
            return Parts(
                encoder=(
                    _part(encoder.network, "conv_in"),
                    *_part(encoder.network, "down_blocks").children(),
                    _part(encoder.network, "mid_block"),
                    nn.Sequential(to_moments, PosteriorMean()),
                ),
                decoder=(
                    from_latent,
                    _part(decoder.network, "mid_block"),
                    *_part(decoder.network, "up_blocks").children(),
                    nn.Sequential(*_output(decoder.network)),
                ),
            )
        case _:
            assert_never(network)


def _blocks(stages: Iterable[nn.Module]) -> list[nn.Module]:
    return [block for stage in stages for block in stage.children()]


def _output(half: nn.Module) -> list[nn.Module]:
    return [_part(half, name) for name in ("conv_norm_out", "conv_act", "conv_out")]


def _part(half: nn.Module, name: str) -> nn.Module:
    """A module of diffusers' encoder or decoder, whose attributes have no types."""
    return half.get_submodule(name)
