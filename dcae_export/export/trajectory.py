"""Sample with a transformer in PyTorch, to see what a lower precision makes of a whole run."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dcae_export.sampling.noise import latent_noise
from dcae_export.sampling.schedule import Diffusion
from dcae_export.sampling.solvers import make_table
from dcae_export.sampling.table import Array, sample

# Over every schedule, without noise between the steps: two runs differ by the network alone.
SAMPLER = "dpmpp-2m:20"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trajectory:
    """A run of ``SAMPLER`` from noise: ``latent`` is (1, C, rows, columns); ``label`` None goes with no classes."""

    diffusion: Diffusion
    latent: tuple[int, int, int, int]
    label: int | None

    @torch.no_grad()
    def run(self, network: nn.Module) -> tuple[Array, list[dict[str, Tensor]]]:
        """Sample without guidance.

        Returns:
            The latent at the end, and what the network was given for each evaluation.
        """
        calls: list[dict[str, Tensor]] = []

        def evaluate(state: Array, t: float) -> Array:
            inputs = self._inputs(state, t)
            calls.append(inputs)
            # A variance that was learned comes second, and this sampler has no use for it.
            return network(*inputs.values())[:, : self.latent[1]].numpy()

        table = make_table(SAMPLER, self.diffusion)
        end = sample(
            table,
            network=evaluate,
            noise=lambda stream: latent_noise(0, stream=stream, shape=self.latent),
        )
        return end, calls

    def _inputs(self, state: Array, t: float) -> dict[str, Tensor]:
        inputs = {
            "latent": torch.as_tensor(np.ascontiguousarray(state)),
            "timestep": torch.full((1,), t, dtype=torch.float32),
        }
        if self.label is not None:
            inputs["label"] = torch.tensor([self.label])
        return inputs


def spread(calls: list[dict[str, Tensor]], *, count: int) -> dict[str, Mapping[str, Tensor]]:
    """Some of a run's evaluations, from its first to its last, as cases by name."""
    places = np.linspace(0, len(calls) - 1, count).round().astype(int)
    return {f"evaluation {place}": calls[place] for place in places}
