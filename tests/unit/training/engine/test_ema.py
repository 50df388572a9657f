import math

import pytest
import torch
from tiny_training import TinyNetwork
from torch import nn

from dcae_export.errors import ConfigError
from dcae_export.training.engine.ema import EMA, EMASettings


def test_the_average_is_that_of_the_formula():
    settings = EMASettings(decay=0.99, warm_up=3)
    layer = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(2.0)
    ema, expected = EMA(layer, settings), 2.0
    for update, value in enumerate([5.0, -1.0, 4.0, 4.0], start=1):
        with torch.no_grad():
            layer.weight.fill_(value)
        ema.update()
        decay = 0.99 * (1 - math.exp(-update / 3))
        expected = decay * expected + (1 - decay) * value
        assert float(ema.averages["weight"]) == pytest.approx(expected, rel=1e-6)
    assert ema.updates == 4


def test_only_what_trains_has_an_average():
    ema = EMA(TinyNetwork(), EMASettings(decay=0.9, warm_up=1))
    assert sorted(ema.averages) == [
        "conv_in.bias",
        "conv_in.weight",
        "conv_out.bias",
        "conv_out.weight",
        "norm.bias",
        "norm.weight",
    ]


def test_a_new_average_is_the_weights_and_no_view_of_them():
    network = TinyNetwork()
    ema = EMA(network, EMASettings(decay=0.9, warm_up=1))
    before = network.conv_in.weight.detach().clone()
    with torch.no_grad():
        network.conv_in.weight.zero_()
    assert torch.equal(ema.averages["conv_in.weight"], before)


def test_a_loaded_average_goes_on_bit_for_bit():
    network = TinyNetwork()
    first = EMA(network, EMASettings(decay=0.9, warm_up=10))
    for _ in range(3):
        with torch.no_grad():
            network.conv_in.weight.add_(1)
        first.update()
    second = EMA(network, EMASettings(decay=0.9, warm_up=10))
    second.load({name: t.clone() for name, t in first.averages.items()}, updates=first.updates)
    for ema in (first, second):
        with torch.no_grad():
            network.conv_in.weight.fill_(7)
        ema.update()
    assert all(torch.equal(first.averages[name], second.averages[name]) for name in first.averages)


@pytest.mark.parametrize("fields", [{"decay": 1.0, "warm_up": 1}, {"decay": 0.9, "warm_up": 0}])
def test_an_average_that_never_follows_is_refused(fields):
    with pytest.raises(ConfigError):
        EMASettings(**fields)
