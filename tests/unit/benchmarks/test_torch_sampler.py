import numpy as np
import pytest
import torch
from gaussian_data import DIT, SHAPE, SIT, UVIT, noise_of, wavy_network

from benchmarks.torch_sampler import sample_in_torch
from dcae_export.parity import FP32, difference
from dcae_export.sampling.solvers import make_table
from dcae_export.sampling.table import sample


@pytest.mark.parametrize(
    ("diffusion", "name"),
    [
        (DIT, "ddpm:20"),
        (UVIT, "ddpm:20"),
        (UVIT, "ddim:10"),
        (UVIT, "dpmpp-singlestep:10"),
        (UVIT, "dpmpp-3m-karras:10"),
        (SIT, "dopri5:12"),
        (SIT, "dpmpp-2m:10"),
    ],
)
def test_the_walk_in_torch_ends_where_the_packages_own_does(diffusion, name):
    network = wavy_network(diffusion)
    table = make_table(name, diffusion)

    def with_variance(state, t):
        output = network(state, t)
        return np.concatenate([output, np.tanh(state)]) if table.learned_variance else output

    class Wavy(torch.nn.Module):
        def forward(self, state, timestep, label):
            assert label.tolist() == [3]
            assert timestep.dtype == torch.float32
            output = with_variance(state[0].numpy(), float(timestep[0]))
            return torch.from_numpy(output)[None]

    noise = noise_of(5)
    expected = sample(table, network=with_variance, noise=noise)
    found = sample_in_torch(
        Wavy(), table, torch.tensor([3]), noise=lambda stream: torch.from_numpy(noise(stream))[None]
    )
    assert found.shape == (1, *SHAPE)
    assert difference(found[0].numpy(), expected).within(FP32)
