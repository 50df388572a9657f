import pytest
import torch

from dcae_export.errors import ProviderError, UsageError, WeightsError
from dcae_export.evaluation.metric_device import find_device
from dcae_export.evaluation.metric_networks import alexnet_network
from dcae_export.models.state import state_digest


def test_random_weights_are_those_of_their_seed_and_say_so():
    first, again, other = (alexnet_network(name) for name in ("random:3", "random:3", "random:4"))
    assert (first.source, first.is_random) == ("random:3", True)
    digests = [state_digest(one.network.state_dict()) for one in (first, again, other)]
    assert digests[0] == digests[1] != digests[2]


def test_weights_of_a_file_are_named_with_their_sha256(tmp_path):
    state = alexnet_network("random:3").network.state_dict()
    torch.save(state, tmp_path / "alexnet.pth")
    found = alexnet_network(str(tmp_path / "alexnet.pth"))
    assert found.source == f"alexnet.pth, sha256 {state_digest(state)}"
    assert not found.is_random


@pytest.mark.parametrize("weights", ["random:", "random:-1", "random:x"])
def test_a_malformed_seed_is_a_usage_error(weights):
    with pytest.raises(UsageError, match="as in random:0"):
        alexnet_network(weights)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"none\.pth: no such file"):
        alexnet_network(str(tmp_path / "none.pth"))


def test_a_gpu_that_is_not_there_is_never_replaced(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("cpu") == torch.device("cpu")
    with pytest.raises(ProviderError, match="sees no NVIDIA GPU"):
        find_device("cuda")
