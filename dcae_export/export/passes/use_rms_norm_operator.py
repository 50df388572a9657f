"""Write RMS norms as the operator of opset 23 instead of elementwise operators."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcae_export.export.replace_modules import replace_modules
from dcae_export.models.layers import RMSNorm2d


def use_rms_norm_operator(module: nn.Module) -> None:
    """Replace every ``RMSNorm2d``, in place, by a form that is traced to RMSNormalization."""
    replace_modules(module, RMSNorm2d, ChannelsLastRMSNorm)


class ChannelsLastRMSNorm(nn.Module):
    """``RMSNorm2d`` as RMSNormalization over the last axis, between two transposes."""

    def __init__(self, source: RMSNorm2d) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = source.weight, source.bias, source.eps

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BHWC = x_BCHW.permute(0, 2, 3, 1)
        x_BHWC = F.rms_norm(x_BHWC, self.weight.shape, self.weight, self.eps) + self.bias
        return torch.permute(x_BHWC, (0, 3, 1, 2))
