"""Fold batch normalisation into the convolution before it."""

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dcae_export.models.layers import ResBlock


def fold_batch_norm(module: nn.Module) -> None:
    """Replace conv2 and its BatchNorm by one convolution in every residual block, in place.

    Exact for evaluation: a batch norm with fixed statistics is an affine map of its channel.
    """
    for block in module.modules():
        if isinstance(block, ResBlock) and isinstance(block.norm, nn.BatchNorm2d):
            block.conv2 = fuse_conv_bn_eval(block.conv2, block.norm)
            block.norm = nn.Identity()
