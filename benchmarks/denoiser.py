"""One step of a transformer: the bundle's graph beside PyTorch and a plain export, and the papers' headline.

The number of tokens is that of a 512 px image: 64 on f64's latents, 256 on f32's, 1024 in patches of two on
those of sd-f8.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.artifacts import Artifacts
from benchmarks.contestants import BUNDLE
from benchmarks.process import WorkerProcess
from benchmarks.turns import SETTLING_SECONDS, median_ratio, take_turns
from dcae_export.errors import ParityError
from dcae_export.parity import FP32, difference

Cell = dict[str, dict[str, object]]
BASE = "bundle"
CONTESTANTS = {
    BASE: "benchmarks.tasks.transformer_bundle",
    "plain": "benchmarks.tasks.transformer_plain",
    "eager": "benchmarks.tasks.transformer_eager",
}
GUIDED_BATCH = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Denoiser:
    """A transformer on the latents of an autoencoder; ``evaluations`` are those of its published sampler."""

    name: str
    autoencoder: str
    evaluations: int

    def __str__(self) -> str:
        return f"{self.name} on {self.autoencoder}"


UVIT_F64 = Denoiser(name="uvit-h", autoencoder="f64", evaluations=30)
UVIT_F32 = Denoiser(name="uvit-h", autoencoder="f32", evaluations=30)
UVIT_F8 = Denoiser(name="uvit-h", autoencoder="sd-f8", evaluations=30)
DIT_F32 = Denoiser(name="dit-xl", autoencoder="f32", evaluations=250)
DIT_F8 = Denoiser(name="dit-xl", autoencoder="sd-f8", evaluations=250)

# The compressed latent beside the paper's baseline, and what the paper has on an H100 (arXiv 2410.10733, table 2:
# denoiser alone, both guidance passes counted).
PAIRS = ((UVIT_F64, UVIT_F8, 19.1), (DIT_F32, DIT_F8, 4.8))


def measure_step(denoiser: Denoiser, artifacts: Artifacts, *, batch: int, rounds: int) -> Cell:
    """Time one evaluation in interleaved rounds, once all contestants are proven to compute the same.

    ``ratio`` is the median over rounds of a contestant's time by the bundle's in the same round.

    Raises:
        ParityError: A contestant computes something else.
        WorkerError: One cannot run.
    """
    shape = (batch, *artifacts.denoiser_input(denoiser.name, denoiser.autoencoder))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        workers: dict[str, WorkerProcess] = {}
        for name, module in CONTESTANTS.items():
            worker = stack.enter_context(WorkerProcess())
            files = artifacts.transformer(denoiser.name, denoiser.autoencoder, form=name)
            worker.call("open", module=module, files=str(files), graph="transformer")
            worker.call("run", shape=shape, output=str(folder / f"{name}.npy"))
            workers[name] = worker
        expected = np.load(folder / "eager.npy")
        differences = {
            name: difference(np.load(folder / f"{name}.npy"), expected) for name in workers
        }
        for name, found in differences.items():
            if not found.within(FP32):
                raise ParityError(f"{denoiser}: {name} differs from PyTorch: {found}")
        seconds, failures = take_turns(workers, shape, rounds=rounds)
        for failure in failures.values():
            raise failure
        peaks = {name: worker.peak_bytes() for name, worker in workers.items()}
    return {
        name: {
            "relative_l2": differences[name].relative_l2,
            "seconds": measured,
            "median": statistics.median(measured),
            "ratio": median_ratio(measured, seconds[BASE]),
            "peak_bytes": peaks[name],
        }
        for name, measured in seconds.items()
    }


def measure_pair(
    compressed: Denoiser, baseline: Denoiser, artifacts: Artifacts, *, rounds: int
) -> dict[str, object]:
    """Seconds of one step and of decoding one image, for a transformer and for its baseline.

    Both guidance halves of an image are one call. The speed-ups are medians over rounds of the baseline's time by
    that of the compressed latent's: ``speed_up`` of the transformer alone, as published; ``speed_up_decoded`` of
    all evaluations and the decoding.
    """
    both = (compressed, baseline)
    with ExitStack() as stack:
        networks = {denoiser: _networks(denoiser, artifacts, stack) for denoiser in both}
        steps: dict[Denoiser, list[float]] = {denoiser: [] for denoiser in both}
        decodings: dict[Denoiser, list[float]] = {denoiser: [] for denoiser in both}
        for _ in range(rounds):
            for denoiser, (step, decoding) in networks.items():
                time.sleep(SETTLING_SECONDS)
                steps[denoiser].append(step.seconds())
                decodings[denoiser].append(decoding.seconds())
    images = {
        denoiser: [
            denoiser.evaluations * step + decoding
            for step, decoding in zip(steps[denoiser], decodings[denoiser], strict=True)
        ]
        for denoiser in both
    }
    return {
        "speed_up": median_ratio(steps[baseline], steps[compressed]),
        "speed_up_decoded": median_ratio(images[baseline], images[compressed]),
        "step_seconds": {str(one): statistics.median(steps[one]) for one in both},
        "decoding_seconds": {str(one): statistics.median(decodings[one]) for one in both},
        "image_seconds": {str(one): statistics.median(images[one]) for one in both},
    }


@dataclass(frozen=True, slots=True)
class _Network:
    """A graph that is open in a process of its own, and the shape that it is given."""

    worker: WorkerProcess
    shape: Sequence[int]

    def seconds(self) -> float:
        return self.worker.seconds("run", shape=self.shape)


def _networks(
    denoiser: Denoiser, artifacts: Artifacts, stack: ExitStack
) -> tuple[_Network, _Network]:
    """The transformer and the decoder, each run once."""
    latent = artifacts.denoiser_input(denoiser.name, denoiser.autoencoder)
    transformer = artifacts.transformer(denoiser.name, denoiser.autoencoder, form=BASE)
    networks = []
    for module, files, graph, batch in (
        (CONTESTANTS[BASE], transformer, "transformer", GUIDED_BATCH),
        (BUNDLE.module, artifacts.bundle(denoiser.autoencoder), "decoder", 1),
    ):
        network = _Network(stack.enter_context(WorkerProcess()), (batch, *latent))
        network.worker.call("open", module=module, files=str(files), graph=graph)
        network.worker.call("run", shape=network.shape)
        networks.append(network)
    step, decoding = networks
    return step, decoding
