"""Steps of a diffusion transformer's training, and the papers' headline on how much compressed latents save there.

The protocol is that of the published figures (arXiv 2410.10733, table 2): drawn latents, everything of a step counted,
activations checkpointed, and batches that hold equally many tokens. Nothing of a transformer is left out.
"""

import math
import statistics

from benchmarks.denoiser import DIT_F8, DIT_F32, UVIT_F8, UVIT_F32, UVIT_F64, Denoiser
from benchmarks.process import WorkerProcess
from benchmarks.turns import median_ratio
from dcae_export.errors import TrainingError

DIT_F64 = Denoiser(name="dit-xl", autoencoder="f64", evaluations=250)
# Whose single steps are measured.
SINGLE = (UVIT_F64, UVIT_F32, DIT_F64, DIT_F32)
# Tokens of a 512 px picture: patches of two on sd-f8's latents.
TOKENS = {"f64": 64, "f32": 256, "sd-f8": 1024}
# With what the paper has on an H100 in float16.
PAIRS = ((UVIT_F64, UVIT_F8, 17.9), (DIT_F32, DIT_F8, 4.5))
_UNTIMED_STEPS = 1
_MODULE = "benchmarks.tasks.diffusion_turns"


def measure_single(denoiser: Denoiser, *, steps: int, precision: str) -> dict[str, object]:
    """Steps on one latent: seconds, losses, and the peak of a fresh process.

    Raises:
        TrainingError: A loss is not finite.
        WorkerError: It cannot train.
    """
    with WorkerProcess() as worker:
        _begin(worker, denoiser, batch_size=1, precision=precision)
        taken = worker.call("train on", steps=steps)
        _require_finite(denoiser, taken)
        return {**taken, **worker.call("end training")}


def measure_pair(
    compressed: Denoiser, baseline: Denoiser, *, tokens: int, rounds: int, precision: str
) -> dict[str, object]:
    """Images a second of two trainings that take turns, each batch of about ``tokens`` tokens.

    In its turn each is a fresh process: two of these networks with their optimizers' states do not fit in 24 GiB.
    ``speed_up`` is the median over rounds of the compressed latents' images a second by the baseline's.

    Raises:
        TrainingError: A loss is not finite.
        WorkerError: One cannot train.
    """
    both = (compressed, baseline)
    batches = {one: max(1, tokens // TOKENS[one.autoencoder]) for one in both}
    seconds: dict[Denoiser, list[float]] = {one: [] for one in both}
    ends: dict[Denoiser, dict[str, object]] = {}
    for _ in range(rounds):
        for one in both:
            with WorkerProcess() as worker:
                _begin(worker, one, batch_size=batches[one], precision=precision)
                _require_finite(one, worker.call("train on", steps=_UNTIMED_STEPS))
                taken = worker.call("train on", steps=1)
                _require_finite(one, taken)
                seconds[one] += _numbers(taken["seconds"])
                ends[one] = worker.call("end training")
    image_seconds = {one: [step / batches[one] for step in seconds[one]] for one in both}
    return {
        "speed_up": median_ratio(image_seconds[baseline], image_seconds[compressed]),
        "precision": precision,
        "trainings": {
            str(one): {
                **ends[one],
                "batch_size": batches[one],
                "step_seconds": seconds[one],
                "images_per_second": 1 / statistics.median(image_seconds[one]),
            }
            for one in both
        },
    }


def _begin(worker: WorkerProcess, denoiser: Denoiser, *, batch_size: int, precision: str) -> None:
    worker.call(
        "begin training",
        module=_MODULE,
        name=denoiser.name,
        autoencoder=denoiser.autoencoder,
        batch_size=batch_size,
        precision=precision,
    )


def _require_finite(denoiser: Denoiser, taken: dict[str, object]) -> None:
    losses = taken["losses"]
    assert isinstance(losses, list)
    for step in losses:
        if not all(math.isfinite(loss) for loss in step.values()):
            raise TrainingError(f"{denoiser}: the losses of a step are {step}")


def _numbers(values: object) -> list[float]:
    assert isinstance(values, list)
    return [float(value) for value in values]
