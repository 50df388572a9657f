"""RMS norms in the form that is traced to one operator."""

from autoencoders import random_input
from export_factory import assert_equal, output, randomized
from torch import nn

from dcae_export.export.passes.use_rms_norm_operator import (
    ChannelsLastRMSNorm,
    use_rms_norm_operator,
)
from dcae_export.models.layers import ResBlock, RMSNorm2d

CHANNELS = 6


def test_every_rms_norm_is_replaced_and_computes_the_same():
    block = ResBlock(CHANNELS, norm=RMSNorm2d(CHANNELS), activation=nn.SiLU())
    module = randomized(nn.Sequential(RMSNorm2d(CHANNELS), block))
    x = random_input(2, CHANNELS, 3, 4).double()
    before = output(module, x)
    use_rms_norm_operator(module)
    assert not any(isinstance(part, RMSNorm2d) for part in module.modules())
    assert sum(isinstance(part, ChannelsLastRMSNorm) for part in module.modules()) == 2
    assert_equal(output(module, x), before)


def test_pixels_of_zeros_do_not_divide_by_zero():
    module = randomized(nn.Sequential(RMSNorm2d(CHANNELS)))
    x = random_input(1, CHANNELS, 2, 2).double() * 0
    before = output(module, x)
    use_rms_norm_operator(module)
    assert_equal(output(module, x), before)


def test_a_batch_norm_stays_as_it_is():
    module = randomized(nn.Sequential(nn.BatchNorm2d(CHANNELS)))
    norm = module[0]
    use_rms_norm_operator(module)
    assert module[0] is norm
