import math

import pytest
import torch
from tiny_training import TinyNetwork
from torch import nn

from dcae_export.training.engine.processes import Processes
from dcae_export.training.engine.settings import Precision
from dcae_export.training.engine.update import BufferGuard, adjust_scale, judge, move


@pytest.fixture
def processes() -> Processes:
    return Processes(Precision.FP32, accumulation=1)


def layer_with_gradient(*values: float) -> tuple[nn.Parameter, torch.optim.Optimizer]:
    parameter = nn.Parameter(torch.zeros(len(values)))
    parameter.grad = torch.tensor(values)
    return parameter, torch.optim.SGD([parameter], lr=1)


def verdict_on(processes, losses, optimizers, *, clip_norm=None, interrupted=False):
    tensors = {name: torch.tensor(value) for name, value in losses.items()}
    return judge(processes, tensors, optimizers, clip_norm=clip_norm, interrupted=interrupted)


def test_the_norms_are_those_before_clipping(processes):
    parameter, optimizer = layer_with_gradient(3.0, 4.0)
    verdict = verdict_on(processes, {"l1": 0.5}, {"network": optimizer}, clip_norm=1.0)
    assert verdict.losses == {"l1": 0.5}
    assert verdict.gradient_norms == {"network": 5.0}
    assert verdict.is_finite
    move(processes, {"network": optimizer})
    # torch's clipping adds 1e-6 to the norm that it divides by.
    assert parameter.tolist() == pytest.approx([-0.6, -0.8], rel=1e-6)


def test_without_a_bound_gradients_are_left(processes):
    parameter, optimizer = layer_with_gradient(3.0, 4.0)
    verdict_on(processes, {}, {"network": optimizer})
    assert parameter.grad is not None
    assert parameter.grad.tolist() == [3.0, 4.0]


def test_each_module_is_clipped_by_itself(processes):
    (large, first), (small, second) = layer_with_gradient(30.0), layer_with_gradient(0.5)
    verdict = verdict_on(processes, {}, {"a": first, "b": second}, clip_norm=1.0)
    assert verdict.gradient_norms == {"a": 30.0, "b": 0.5}
    assert large.grad is not None
    assert small.grad is not None
    assert float(large.grad) == pytest.approx(1, rel=1e-6)
    assert float(small.grad) == 0.5


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_decides(processes, value):
    _, optimizer = layer_with_gradient(1.0)
    verdict = verdict_on(processes, {"l1": 1.0, "lpips": value}, {"network": optimizer})
    assert not verdict.losses_are_finite
    assert not verdict.is_finite


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_decides(processes, value):
    _, optimizer = layer_with_gradient(1.0, value)
    verdict = verdict_on(processes, {"l1": 1.0}, {"network": optimizer}, clip_norm=1.0)
    assert verdict.losses_are_finite
    assert not verdict.is_finite


def test_an_interruption_is_passed_on(processes):
    _, optimizer = layer_with_gradient(1.0)
    assert verdict_on(processes, {}, {"network": optimizer}, interrupted=True).interrupted
    assert not verdict_on(processes, {}, {"network": optimizer}).interrupted


def scaled(processes: Processes, gradient: float, *, scale: float) -> dict:
    """Two optimizers and a loss scale; the first one's gradient is ``gradient`` before it is scaled."""
    processes.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=1)
    optimizers = {}
    for name, value in (("network", gradient), ("discriminator", 1.0)):
        parameter, optimizers[name] = layer_with_gradient(0.0)
        processes.scaler.scale(parameter.sum() * value).backward()
    return optimizers


def test_gradients_of_two_optimizers_are_unscaled_once_and_the_scale_grows_once(processes):
    optimizers = scaled(processes, 3.0, scale=1024.0)
    verdict = verdict_on(processes, {}, optimizers)
    assert verdict.gradient_norms == {"network": 3.0, "discriminator": 1.0}
    move(processes, optimizers)
    assert optimizers["network"].param_groups[0]["params"][0].tolist() == [-3.0]
    assert processes.scaler is not None
    assert processes.scaler.get_scale() == 2048.0


def test_an_overflow_of_scaled_gradients_lowers_the_scale(processes):
    optimizers = scaled(processes, 1e38, scale=1024.0)
    assert not verdict_on(processes, {}, optimizers).is_finite
    assert adjust_scale(processes)
    assert processes.scaler is not None
    assert processes.scaler.get_scale() == 512.0


def test_a_scale_of_one_is_not_to_blame(processes):
    optimizers = scaled(processes, math.inf, scale=1.0)
    assert not verdict_on(processes, {}, optimizers).is_finite
    assert not adjust_scale(processes)


def test_without_a_scale_nothing_is_lowered(processes):
    assert not adjust_scale(processes)


def test_buffers_go_back_to_what_they_were():
    network = TinyNetwork()
    guard = BufferGuard([network])
    network(torch.rand(2, 3, 4, 4))
    guard.keep()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network(torch.full((2, 3, 4, 4), math.nan))
    assert network.norm.running_mean.isnan().all()
    guard.restore()
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())
