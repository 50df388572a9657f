"""DC-AE's claims on training, in small (arXiv 2410.10733, sections 3.2 and 3.3): a narrow f64 on drawn pictures.

Each seed draws weights and the order of the data anew, and takes every stage; the pictures stay. Stages that are
compared take equally many steps of equal batches. The two networks that start from scratch each get the best of the
learning rates that are tried, by the loss of training; what follows has one rate. What each figure means is said in
``benchmarks.tasks.study``.
"""

import dataclasses
import hashlib
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.process import WorkerProcess
from benchmarks.results import Results
from benchmarks.study_pictures import HELD_OUT, TRAINING

BICUBIC = "bicubic, 64 times smaller and back"
SHORTCUTS = "phase 1, shortcuts"
NO_SHORTCUTS = "phase 1, no shortcuts"
GOES_ON = "phase 1 goes on"
ADAPTATION = "phase 2"
REFINEMENT = "phase 3"
FULL_GAN = "full GAN"

_FULL = {"phase": "full"}
# The block of the deepest stage and the convolution at the latent; the block next to the picture and the output.
_ADAPTATION = {"phase": "latent-adaptation", "encoder_head": 2, "decoder_input": 2}
_REFINEMENT = {"phase": "local-refinement", "decoder_head": 2}
_LATER_SEEDS = 1000
_TRIAL_SEED = 2000
_PERCEPTUAL_WEIGHT = 0.25
_RECONSTRUCTION = {
    "l1": 1.0,
    "perceptual": {"weight": _PERCEPTUAL_WEIGHT, "kind": "structure"},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """How large everything is.

    ``learning_rates`` are tried for ``trial_steps`` each. ``steps`` are those of phase 1, ``adaptation_steps`` of phase 2 and of a phase 1 that goes on,
    ``refinement_steps`` of both stages with a GAN. Batches have ``batch_size`` pictures of ``low`` px, or
    one of ``high`` px. Of the ``held_out`` pictures ``held_out_high`` are seen at ``high`` px.
    """

    low: int = 256
    high: int = 1024
    divisor: int = 16
    trial_steps: int = 300
    steps: int = 800
    adaptation_steps: int = 60
    refinement_steps: int = 100
    batch_size: int = 2
    pictures: int = 100
    held_out: int = 64
    held_out_high: int = 12
    learning_rates: tuple[float, ...] = (1e-4, 2.5e-4, 5e-4, 1e-3)
    later_learning_rate: float = 3e-4
    gan_weight: float = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stage:
    """A training from the seed's first weights, or from those that the stage ``start`` left."""

    name: str
    start: str | None
    parts: dict[str, object]
    size: int
    batch_size: int
    steps: int
    has_gan: bool = False

    @property
    def has_shortcuts(self) -> bool:
        return self.name != NO_SHORTCUTS

    @property
    def is_first(self) -> bool:
        """Whether it trains from scratch."""
        return self.start is None


def measure_study(study: Study, seeds: int, work: Path, results: Results) -> None:
    """Take every stage of every seed that the results do not hold.

    Weights stay in ``work`` for the stages that begin with them; where they are gone, or of another run, the stage
    that made them is taken again.

    Raises:
        UsageError: The results are of a study of other sizes.
        WorkerError: A stage failed.
    """
    results.rest_on("sizes", "study", asdict(study), named="a study of other sizes or steps")
    wants_bicubic = results.wants("stages", BICUBIC)
    wanted = [
        (stage, seed)
        for seed in range(seeds)
        for stage in _stages(study)
        if results.wants("stages", key(stage.name, seed))
    ]
    if not wants_bicubic and not wanted:
        return
    with tempfile.TemporaryDirectory() as folder, WorkerProcess() as worker:
        counts = {TRAINING: study.pictures, HELD_OUT: study.held_out}
        worker.call("draw study pictures", folder=folder, side=study.high, counts=counts)
        trainer = _Trainer(study, worker, results, pictures=Path(folder), work=work / "study")
        if wants_bicubic:
            trainer.put(BICUBIC, worker.call("study bicubic", held_out=trainer.held_out))
        for stage, seed in wanted:
            trainer.train(stage, seed)


def key(stage: str, seed: int) -> str:
    """The key of a stage's cell."""
    return f"{stage}, seed {seed}"


class _Trainer:
    """Takes stages in a worker that has drawn the pictures."""

    def __init__(
        self, study: Study, worker: WorkerProcess, results: Results, *, pictures: Path, work: Path
    ) -> None:
        self._study = study
        self._stages = {stage.name: stage for stage in _stages(study)}
        self._worker = worker
        self._results = results
        self._training = pictures / TRAINING
        self._work = work
        self._rates: dict[str, float] = {}
        self.held_out = {
            "folder": str(pictures / HELD_OUT),
            "counts": {str(study.low): study.held_out, str(study.high): study.held_out_high},
        }

    def train(self, stage: _Stage, seed: int) -> None:
        """Take a stage, and before it the one that it begins with where its weights are gone."""
        start = None
        if stage.start is not None:
            start = self._weights(stage.start, seed)
            if not self._has_weights(stage.start, seed):
                self.train(self._stages[stage.start], seed)
        rate = self._best_rate(stage) if stage.is_first else self._study.later_learning_rate
        # What follows phase 1 sees other crops, in another order.
        recipe = _recipe(
            self._study,
            stage,
            seed=seed if stage.is_first else _LATER_SEEDS + seed,
            learning_rate=rate,
        )
        self.put(
            key(stage.name, seed), self._take(stage, recipe, start, self._weights(stage.name, seed))
        )

    def _best_rate(self, stage: _Stage) -> float:
        """The learning rate whose trial ended with the lowest loss."""
        if stage.name in self._rates:
            return self._rates[stage.name]
        trial = dataclasses.replace(stage, steps=self._study.trial_steps)
        losses: dict[float, float] = {}
        for rate in self._study.learning_rates:
            name = f"{stage.name}, learning rate {rate:g}"
            if self._results.wants("trials", name):
                recipe = _recipe(self._study, trial, seed=_TRIAL_SEED, learning_rate=rate)
                weights = self._work / "trial.safetensors"
                self.put(name, self._take(trial, recipe, None, weights), table="trials")
            losses[rate] = _loss(self._results.document["trials"][name]["cell"])
        self._rates[stage.name] = min(losses, key=losses.__getitem__)
        return self._rates[stage.name]

    def _take(
        self, stage: _Stage, recipe: dict[str, object], start: Path | None, weights: Path
    ) -> dict[str, object]:
        return self._worker.call(
            "study stage",
            recipe=recipe,
            network={"divisor": self._study.divisor, "shortcuts": stage.has_shortcuts},
            start=None if start is None else str(start),
            weights=str(weights),
            pictures=str(self._training),
            held_out=self.held_out,
        )

    def put(self, key: str, cell: dict[str, object], *, table: str = "stages") -> None:
        """Keep a cell, and show what is in it."""
        self._results.put(table, key, cell)
        psnr, sharpness = cell["psnr"], cell["sharpness"]
        assert isinstance(psnr, dict)
        assert isinstance(sharpness, dict)
        figures = [
            f"{side} px {psnr[side]:.2f} dB, {sharpness[side]:.2f} as sharp" for side in psnr
        ]
        seconds = f"; {cell['seconds']:.0f} s" if "seconds" in cell else ""
        print(f"  {'; '.join(figures)}{seconds}", flush=True)

    def _weights(self, stage: str, seed: int) -> Path:
        return self._work / f"seed-{seed}" / f"{stage}.safetensors"

    def _has_weights(self, stage: str, seed: int) -> bool:
        """Whether the file is the one that the results tell of."""
        path = self._weights(stage, seed)
        entry = self._results.document["stages"].get(key(stage, seed))
        if entry is None or not path.exists():
            return False
        assert isinstance(entry, dict)
        return entry["cell"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def _loss(cell: dict[str, dict[str, float]]) -> float:
    """What a training from scratch lowers."""
    losses = cell["losses"]
    return losses["l1"] + _PERCEPTUAL_WEIGHT * losses["perceptual"]


def _stages(study: Study) -> tuple[_Stage, ...]:
    """In an order in which each has its start."""
    low = {"size": study.low, "batch_size": study.batch_size}
    high = {"size": study.high, "batch_size": 1}
    first = {"parts": _FULL, "steps": study.steps, "start": None, **low}
    second = {"steps": study.adaptation_steps, "start": SHORTCUTS}
    third = {"steps": study.refinement_steps, "start": ADAPTATION, "has_gan": True, **low}
    return (
        _Stage(name=SHORTCUTS, **first),
        _Stage(name=NO_SHORTCUTS, **first),
        _Stage(name=GOES_ON, parts=_FULL, **second, **low),
        _Stage(name=ADAPTATION, parts=_ADAPTATION, **second, **high),
        _Stage(name=REFINEMENT, parts=_REFINEMENT, **third),
        _Stage(name=FULL_GAN, parts=_FULL, **third),
    )


def _recipe(study: Study, stage: _Stage, *, seed: int, learning_rate: float) -> dict[str, object]:
    adversarial = {"weight": study.gan_weight, "learning_rate": study.later_learning_rate}
    # Averages over about a tenth of the steps.
    horizon = stage.steps / 10
    return {
        **stage.parts,
        "size": stage.size,
        "batch_size": stage.batch_size,
        "steps": stage.steps,
        "seed": seed,
        "optimizer": {
            "learning_rate": learning_rate,
            "warm_up_steps": stage.steps // 20,
            "clip_norm": 1.0,
        },
        "ema": {"decay": horizon / (1 + horizon), "warm_up": max(round(horizon), 1)},
        "losses": _RECONSTRUCTION | ({"adversarial": adversarial} if stage.has_gan else {}),
        "checkpoint_every": stage.steps,
        "sample_every": None,
    }
