"""How far the fixed-step tables of a flow end from an adaptive solver that takes as many steps as it needs."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from benchmarks.machine import physical_cores
from dcae_export.models.transformer_weights import load_transformer, random_transformer_checkpoint
from dcae_export.parity import difference
from dcae_export.sampling.noise import latent_noise
from dcae_export.sampling.solvers import make_table
from dcae_export.sampling.table import sample

RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE = 1e-6, 1e-8
LABEL = 88


def flow_errors(name: str, autoencoder: str, samplers: list[str], seed: int) -> dict[str, object]:
    """The relative L2 of each sampler's latent against SciPy's RK45, on random weights and one label.

    RK45 integrates in float64 over a network in float32: its own error ends where the network's rounding begins.
    """
    torch.set_num_threads(physical_cores())
    checkpoint = random_transformer_checkpoint(name, autoencoder=autoencoder, seed=seed)
    network = load_transformer(checkpoint)
    label = torch.tensor([LABEL])

    @torch.inference_mode()
    def velocity(state: NDArray[np.float32], t: float) -> NDArray[np.float32]:
        return network(
            torch.from_numpy(state), torch.tensor([t], dtype=torch.float32), label
        ).numpy()

    shape = (checkpoint.config.in_channels, *checkpoint.config.grid)
    noise = partial(_noise, seed=seed, shape=shape)
    solved = solve_ivp(
        lambda t, flat: velocity(flat.reshape(1, *shape).astype(np.float32), t).ravel(),
        (0.0, 1.0),
        noise(0).ravel().astype(np.float64),
        method="RK45",
        rtol=RELATIVE_TOLERANCE,
        atol=ABSOLUTE_TOLERANCE,
    )
    exact = solved.y[:, -1].reshape(1, *shape)
    errors = {
        sampler: difference(
            sample(make_table(sampler, checkpoint.diffusion), network=velocity, noise=noise), exact
        ).relative_l2
        for sampler in samplers
    }
    return {"evaluations": int(solved.nfev), "relative_l2": errors}


def _noise(stream: int, *, seed: int, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    return latent_noise(seed, stream=stream, shape=shape)[None]
