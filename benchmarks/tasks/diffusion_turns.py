"""One training of a diffusion transformer on drawn latents, whose steps are taken when a parent asks for some.

The loop is plain: losses, gradients and AdamW of the package's own training, without averages and checkpoints, as the
papers time it.
"""

import time
from typing import cast

import torch
from accelerate import Accelerator
from torch import nn, optim

from benchmarks.machine import peak_bytes
from dcae_export.models.transformer_presets import transformer_preset
from dcae_export.models.transformer_weights import build_transformer
from dcae_export.training.diffusion.recipe import DiffusionRecipe
from dcae_export.training.diffusion.training import DiffusionTraining
from dcae_export.training.engine.protocols import NETWORK
from dcae_export.training.initialization import initialize_transformer
from dcae_export.training.latents.batch import LatentBatch


class DiffusionTurns:
    """A transformer at full size, its activations checkpointed block by block."""

    def __init__(self, name: str, autoencoder: str, *, batch_size: int, precision: str) -> None:
        """Draw weights and one batch, which every step sees."""
        preset = transformer_preset(name, autoencoder=autoencoder)
        recipe = DiffusionRecipe.model_validate(
            {
                "transformer": name,
                "batch_size": batch_size,
                "steps": 1,
                "precision": precision,
                "checkpoint_activations": True,
                "optimizer": {"learning_rate": 1e-4},
                "ema": None,
            }
        )
        mixed = "no" if precision == "fp32" else precision
        self._accelerator = Accelerator(mixed_precision=mixed)
        device = self._accelerator.device
        network = build_transformer(preset.config).to(device)
        initialize_transformer(network, seed=0)
        self._parameters = sum(parameter.numel() for parameter in network.parameters())
        self._training = DiffusionTraining(network, preset.diffusion, recipe)
        for module in self._training.modules.values():
            module.to(device)
        prepared = self._accelerator.prepare(network, self._training.optimizers[NETWORK])  # pyright: ignore[reportUnknownMemberType]
        self._training.modules[NETWORK], optimizer = cast(
            "tuple[nn.Module, optim.Optimizer]", prepared
        )
        self._optimizer = optimizer
        config = preset.config
        assert config.num_classes is not None
        self._batch = LatentBatch(
            latents=torch.randn(batch_size, config.in_channels, *config.grid, device=device),
            labels=torch.randint(config.num_classes, (batch_size,), device=device),
        )

    def take(self, steps: int) -> dict[str, object]:
        """Take some steps: the seconds of each, and its losses."""
        seconds: list[float] = []
        losses: list[dict[str, float]] = []
        for _ in range(steps):
            start = time.perf_counter()
            found = self._training.backward(self._batch, step=0, accelerator=self._accelerator)
            self._optimizer.step()
            self._optimizer.zero_grad()
            # Waits for the device.
            losses.append({name: float(loss) for name, loss in found.items()})
            if self._accelerator.device.type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds, "losses": losses}

    def end(self) -> dict[str, object]:
        """What it was, and the most memory that it held."""
        is_cuda = self._accelerator.device.type == "cuda"
        return {
            "parameters": self._parameters,
            "device": torch.cuda.get_device_name() if is_cuda else "cpu",
            "threads": torch.get_num_threads(),
            "peak_bytes": torch.cuda.max_memory_allocated() if is_cuda else peak_bytes(),
        }


def begin(name: str, autoencoder: str, batch_size: int, precision: str) -> DiffusionTurns:
    """Begin a training; nothing is timed yet."""
    return DiffusionTurns(name, autoencoder, batch_size=batch_size, precision=precision)
