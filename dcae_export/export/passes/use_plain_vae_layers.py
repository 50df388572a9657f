"""Put layers that become few operators, and exact ones, in the place of diffusers' own."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from dcae_export.export.replace_modules import replace_modules
from dcae_export.models.layers import InterpolateConv, at_least_float32
from dcae_export.models.sd_vae import Decoder, Encoder

if TYPE_CHECKING:
    from diffusers.models.attention_processor import Attention
    from diffusers.models.upsampling import Upsample2D


@torch.no_grad()
def use_plain_vae_layers(module: nn.Module) -> None:
    """Replace the attention, the upsampling and the group norms of every SD-VAE in ``module``, in place.

    - Attention becomes ``PlainAttention``. diffusers' own becomes one operator, Attention, at operator set 23,
      which many runtimes lack, and brings shapes that are computed before it.
    - Upsampling becomes ``InterpolateConv``, which ``fold_upsampling`` knows.
    - A group norm becomes ``PlainGroupNorm``, whose sums keep their digits.
    """
    if not any(isinstance(part, Encoder | Decoder) for part in module.modules()):
        return
    from diffusers.models.attention_processor import Attention  # noqa: PLC0415
    from diffusers.models.upsampling import Upsample2D  # noqa: PLC0415

    replace_modules(module, Attention, PlainAttention)
    replace_modules(module, Upsample2D, _interpolate_conv)
    replace_modules(module, nn.GroupNorm, PlainGroupNorm)


class PlainAttention(nn.Module):
    """Softmax attention of one head over the positions of a grid, after a group norm and beside a shortcut.

    The scale of the scores is in the query's weights. Shape suffixes: N = H * W positions.
    """

    def __init__(self, source: "Attention") -> None:
        super().__init__()
        assert source.heads == 1
        query, key, value, out = (
            source.get_submodule(name) for name in ("to_q", "to_k", "to_v", "to_out.0")
        )
        self.norm = source.get_submodule("group_norm")
        self.qkv = _pointwise([query, key, value], scales=[source.scale, 1.0, 1.0])
        self.proj = _pointwise([out], scales=[1.0])

    def forward(self, x_BCHW: Tensor, **_: object) -> Tensor:
        q_BCN, k_BCN, v_BCN = self.qkv(self.norm(x_BCHW)).flatten(2).chunk(3, dim=1)
        scores_BNN = q_BCN.transpose(1, 2) @ k_BCN
        # In float32 or wider: the sum over all positions, and weights far below the largest.
        weights_BNN = torch.softmax(scores_BNN.to(at_least_float32(scores_BNN)), dim=2)
        out_BNC = weights_BNN.to(scores_BNN.dtype) @ v_BCN.transpose(1, 2)
        return x_BCHW + self.proj(out_BNC.transpose(1, 2).reshape(x_BCHW.shape))


class PlainGroupNorm(nn.Module):
    """A group norm that sums along the rows first, then over the rows and channels of a group.

    A runtime adds up float32 one after another: over the million numbers of a group at 512 px it loses two
    digits. The reshape between the two sums keeps a simplifier from making one of them. In float32 or wider. Shape
    suffix: G groups.
    """

    group_of_channel: Tensor

    def __init__(self, source: nn.GroupNorm) -> None:
        super().__init__()
        self.num_groups, self.eps = source.num_groups, source.eps
        self.weight = nn.Parameter(source.weight.detach()[:, None, None], requires_grad=False)
        self.bias = nn.Parameter(source.bias.detach()[:, None, None], requires_grad=False)
        channel = torch.arange(source.num_channels)
        self.register_buffer("group_of_channel", channel * self.num_groups // len(channel))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        wide_BCHW = x_BCHW.to(at_least_float32(x_BCHW))
        centred_BCHW = wide_BCHW - self._for_each_channel(self._mean(wide_BCHW))
        variance_BG11 = self._mean(centred_BCHW.square())
        scale_BC11 = self._for_each_channel(torch.rsqrt(variance_BG11 + self.eps)) * self.weight
        return (centred_BCHW * scale_BC11 + self.bias).to(x_BCHW.dtype)

    def _mean(self, x_BCHW: Tensor) -> Tensor:
        rows_BCH1 = x_BCHW.mean(dim=3, keepdim=True)
        rows_BGR1 = rows_BCH1.reshape(x_BCHW.shape[0], self.num_groups, -1, 1)
        return rows_BGR1.mean(dim=2, keepdim=True)

    def _for_each_channel(self, x_BG11: Tensor) -> Tensor:
        return torch.index_select(x_BG11, 1, self.group_of_channel)


def _pointwise(sources: list[nn.Module], *, scales: list[float]) -> nn.Conv2d:
    """A 1x1 convolution that does what linear layers do at each position, one after another in its channels."""
    weights: list[Tensor] = []
    biases: list[Tensor] = []
    for source, scale in zip(sources, scales, strict=True):
        assert isinstance(source, nn.Linear)
        weights.append(scale * source.weight[:, :, None, None])
        biases.append(scale * source.bias)
    weight, bias = torch.cat(weights), torch.cat(biases)
    with torch.device("meta"):
        conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
    conv.weight = nn.Parameter(weight, requires_grad=False)
    conv.bias = nn.Parameter(bias, requires_grad=False)
    return conv


def _interpolate_conv(source: "Upsample2D") -> InterpolateConv:
    conv = source.conv
    assert isinstance(conv, nn.Conv2d)
    with torch.device("meta"):
        block = InterpolateConv(conv.in_channels, conv.out_channels, shortcut=False)
    block.conv = conv
    return block
