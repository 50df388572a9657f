import pytest
import torch
from tiny_training import TinyNetwork
from torch import nn

from dcae_export.errors import WeightsError
from dcae_export.training.engine.state import (
    load_module,
    load_optimizer,
    optimizer_tensors,
    random_states,
    set_random_states,
)


def trained(network: nn.Module, *, steps: int, optimizer=None) -> torch.optim.Optimizer:
    """Take steps whose gradients depend on the weights."""
    if optimizer is None:
        wanted = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW([{"params": wanted[:2]}, {"params": wanted[2:], "lr": 0.1}])
    for _ in range(steps):
        optimizer.zero_grad()
        sum((p**2).sum() for p in network.parameters()).backward()
        optimizer.step()
    return optimizer


def copied(tensors):
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_what_is_loaded_goes_on_bit_for_bit(memory_format):
    first, second = (TinyNetwork().to(memory_format=memory_format) for _ in range(2))
    first_optimizer, second_optimizer = trained(first, steps=3), trained(second, steps=1)
    load_module(second, copied(first.state_dict()), of="step")
    stored = {
        n: t.contiguous() for n, t in copied(optimizer_tensors(first, first_optimizer)).items()
    }
    load_optimizer(second, second_optimizer, stored, of="step")
    for network, optimizer in ((first, first_optimizer), (second, second_optimizer)):
        trained(network, steps=3, optimizer=optimizer)
    expected, actual = first.state_dict(), second.state_dict()
    assert all(torch.equal(actual[name], expected[name]) for name in expected)
    exp_avg = second_optimizer.state[second.conv_in.weight]["exp_avg"]
    assert exp_avg.is_contiguous(memory_format=memory_format)


def test_an_optimizer_keeps_its_own_settings():
    first, second = TinyNetwork(), TinyNetwork()
    stored = copied(optimizer_tensors(first, trained(first, steps=1)))
    optimizer = torch.optim.AdamW([p for p in second.parameters() if p.requires_grad], lr=0.25)
    load_optimizer(second, optimizer, stored, of="step")
    assert optimizer.param_groups[0]["lr"] == 0.25


def test_states_of_an_optimizer_bear_the_names_of_parameters():
    network = TinyNetwork()
    tensors = optimizer_tensors(network, trained(network, steps=1))
    assert {name for name in tensors if name.endswith("conv_in.weight")} == {
        "step.conv_in.weight",
        "exp_avg.conv_in.weight",
        "exp_avg_sq.conv_in.weight",
    }
    assert not [name for name in tensors if "frozen" in name]


def test_an_optimizer_that_never_moved_has_none():
    network = TinyNetwork()
    assert optimizer_tensors(network, trained(network, steps=0)) == {}
    assert all(p.grad is None for p in network.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("norm.bias"), "step: norm.bias is missing"),
        (lambda s: s.update(more=torch.ones(1)), "step: more is unknown"),
        (lambda s: s.update({"norm.bias": torch.ones(2)}), r"norm.bias has shape \[2\] for \[6\]"),
    ],
)
def test_the_tensors_of_another_module_are_refused(change, message):
    network = TinyNetwork()
    state = copied(network.state_dict())
    change(state)
    with pytest.raises(WeightsError, match=message):
        load_module(network, state, of="step")


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("exp_avg.frozen.weight", torch.ones(6, 6, 1, 1), "is of no parameter that trains here"),
        ("exp_avg.nothing", torch.ones(1), "is of no parameter that trains here"),
        ("exp_avg.norm.bias", torch.ones(2), r"has shape \[2\] for \[6\]"),
    ],
)
def test_the_state_of_another_optimizer_is_refused(name, tensor, message):
    network = TinyNetwork()
    optimizer = trained(network, steps=0)
    with pytest.raises(WeightsError, match=message):
        load_optimizer(network, optimizer, {name: tensor}, of="step")


def test_a_random_state_is_that_of_the_moment():
    cpu = torch.device("cpu")
    states = random_states(cpu)
    first = torch.rand(3)
    set_random_states(states, cpu)
    assert torch.equal(torch.rand(3), first)
