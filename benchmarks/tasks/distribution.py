"""One part of a training on latents of a known distribution, and how near to it the samples are.

``energy``: the mean over classes of the energy distance between samples of a class and fresh latents of it.
``accuracy``: the share of samples that the best classifier there is takes for the class that was asked for. That of
latents of the distribution is the mark: less is a network that does not know its classes, and more one that has
forgotten what lies between them.
"""

import functools
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.best_network import BestNetwork
from benchmarks.energy_distance import energy_distance
from benchmarks.tasks.toy_latents import toy_autoencoder
from benchmarks.torch_sampler import sample_in_torch
from benchmarks.toy_distribution import (
    CLASSES,
    SHAPE,
    Labels,
    Latents,
    labels_in_turn,
    toy_distribution,
)
from dcae_export.export.exporter import TransformerExport, export
from dcae_export.export.options import ExportOptions
from dcae_export.models.source import resolve_transformer
from dcae_export.models.transformer_presets import Family, diffusion_of
from dcae_export.models.transformer_weights import TransformerCheckpoint, load_transformer
from dcae_export.parity import Tolerance, difference
from dcae_export.runtime.pipeline import Pipeline
from dcae_export.sampling.noise import latent_noise
from dcae_export.sampling.schedule import Diffusion
from dcae_export.sampling.solvers import make_table
from dcae_export.training.diffusion.recipe import DiffusionRecipe
from dcae_export.training.diffusion.training import train_diffusion
from dcae_export.training.engine.events import Event, StepDone
from dcae_export.training.run_recipe import resumed_run, started_run

SAME_SAMPLES = Tolerance(
    relative_l2=1e-5,
    max_abs=1e-4,
    because="float32 rounding of two implementations, carried through a hundred evaluations: 1e-7 to 4e-7 was seen",
)

_FAMILIES = {"uvit": Family.UVIT, "usit": Family.USIT, "dit": Family.DIT}
# Seeds of what samples are compared with, of what takes their place, and of their own noise.
_FRESH, _OTHERS, _SAMPLES = 2, 3, 0
# Operators of such a size wait for a second thread more than it computes.
_THREADS = 1


def measure_latents(samples: int, fresh: int, repeats: int) -> dict[str, object]:
    """What latents of the distribution come to in the samples' place, ``repeats`` times.

    Args:
        samples: How many of each class.
        fresh: How many latents of each class they are compared with.
        repeats: How often they are drawn.
    """
    labels = _labels(samples)
    generator = np.random.default_rng(_OTHERS)
    measured = [
        _measure(toy_distribution().draw(labels, generator), labels, fresh) for _ in range(repeats)
    ]
    return {name: [one[name] for one in measured] for name in ("energy", "accuracy")}


def measure_noise(samples: int, fresh: int) -> dict[str, float]:
    """What the noise comes to that every sampling begins with."""
    labels = _labels(samples)
    return _measure(_noise(len(labels), 0).numpy(), labels, fresh)


def measure_best(family: str, sampler: str, samples: int, fresh: int) -> dict[str, object]:
    """What samples of the network come to that a family's training aims at."""
    labels = _labels(samples)
    diffusion, _ = diffusion_of(_FAMILIES[family])
    network = BestNetwork(toy_distribution(), diffusion)
    drawn = _through_torch(network, diffusion, sampler, labels)
    return {"sampler": sampler, **_measure(drawn, labels, fresh)}


def train_on(
    recipe: dict[str, object], latents: str, run: str, sampler: str, samples: int, fresh: int
) -> dict[str, object]:
    """Go on with a training to the recipe's last step, export what it left, and sample it in two ways.

    Args:
        recipe: What to do; its ``steps`` count from the training's beginning.
        latents: The folder of latents.
        run: The run's folder, which goes on where it stands.
        sampler: How it is sampled, as in ``ddpm:250``.
        samples: How many of each class are drawn.
        fresh: How many latents of each class they are compared with.
    """
    folder = Path(run)
    begin = time.process_time()
    steps_taken = _train(DiffusionRecipe.model_validate(recipe), Path(latents), folder)
    trained = time.process_time()
    checkpoint = resolve_transformer(run, name=None, autoencoder=None)
    labels = _labels(samples)
    in_bundle = _through_bundle(checkpoint, sampler, labels, folder / "bundle")
    in_torch = _through_torch(load_transformer(checkpoint), checkpoint.diffusion, sampler, labels)
    found = difference(in_bundle, in_torch)
    return {
        "steps_taken": steps_taken,
        "training_cpu_seconds": trained - begin,
        "parameters": sum(tensor.numel() for tensor in checkpoint.state.values()),
        "sampler": sampler,
        "bundle": _measure(in_bundle, labels, fresh),
        "pytorch": _measure(in_torch, labels, fresh),
        "relative_l2": found.relative_l2,
        "max_abs": found.max_abs / found.reference_range,
        "tolerance": {
            "relative_l2": SAME_SAMPLES.relative_l2,
            "max_abs": SAME_SAMPLES.max_abs,
            "because": SAME_SAMPLES.because,
        },
        "within": found.within(SAME_SAMPLES),
    }


def _train(recipe: DiffusionRecipe, latents: Path, run: Path) -> int:
    """Train to the last step; how many were left."""
    steps_taken = 0

    def on_event(event: Event) -> None:
        nonlocal steps_taken
        steps_taken += isinstance(event, StepDone)

    resume = run.exists()
    with resumed_run(run, recipe) if resume else started_run(run, recipe):
        train_diffusion(recipe, data=[latents], out=run, resume=resume, on_event=on_event)
    return steps_taken


def _through_bundle(
    checkpoint: TransformerCheckpoint, sampler: str, labels: Labels, folder: Path
) -> Latents:
    export(
        toy_autoencoder(),
        folder,
        ExportOptions(),
        transformer=TransformerExport(checkpoint=checkpoint, samplers=(sampler,)),
        force=True,
    )
    pipeline = Pipeline.open(folder, threads=_THREADS)
    return pipeline.sample(labels.tolist(), seed=_SAMPLES, guidance=1.0)


def _through_torch(
    network: nn.Module, diffusion: Diffusion, sampler: str, labels: Labels
) -> Latents:
    noise = functools.partial(_noise, len(labels))
    table = make_table(sampler, diffusion)
    return sample_in_torch(network, table, torch.from_numpy(labels), noise=noise).numpy()


@functools.cache
def _noise(count: int, stream: int) -> Tensor:
    """Kept: every network begins with the same."""
    seeds = range(_SAMPLES, _SAMPLES + count)
    return torch.from_numpy(
        np.stack([latent_noise(seed, stream=stream, shape=SHAPE) for seed in seeds])
    )


def _labels(samples: int) -> Labels:
    return labels_in_turn(samples * len(CLASSES))


def _measure(samples: Latents, labels: Labels, fresh: int) -> dict[str, float]:
    distances = [
        energy_distance(samples[labels == label], latents)
        for label, latents in enumerate(_fresh(fresh))
    ]
    return {
        "energy": float(np.mean(distances)),
        "accuracy": float((toy_distribution().classify(samples) == labels).mean()),
    }


@functools.cache
def _fresh(count: int) -> tuple[Latents, ...]:
    """``count`` latents of each class that no training has seen."""
    generator = np.random.default_rng(_FRESH)
    return tuple(
        toy_distribution().draw(np.full(count, label), generator) for label in range(len(CLASSES))
    )
