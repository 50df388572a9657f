"""What the recipes of all trainings share: kinds of numbers, the course of a run, and how a network moves."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dcae_export.errors import UsageError
from dcae_export.models.presets import preset_name
from dcae_export.training.engine.ema import EMASettings
from dcae_export.training.engine.learning_rate import WarmUp
from dcae_export.training.engine.settings import EngineSettings, Precision


def _full_name(variant: str) -> str:
    try:
        return preset_name(variant)
    except UsageError as error:
        raise ValueError(str(error)) from error


Variant = Annotated[str, AfterValidator(_full_name)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Weight = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, le=1)]
# A moment's decay of 1 never forgets, and divides by zero.
Beta = Annotated[float, Field(ge=0, lt=1)]
Betas = tuple[Beta, Beta]


def crop_size_problem(size: int, name: str, downsample: int) -> str | None:
    """Why crops of ``size`` pixels do not fit the autoencoder ``name``; None where they do."""
    below = size - size % downsample
    if below == size:
        return None
    near = [str(one) for one in (below, below + downsample) if one]
    return f"size: {size} is no multiple of {downsample}, which {name} needs; {' and '.join(near)} would be"


class Section(BaseModel):
    """A mapping in a recipe: frozen, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OptimizerRecipe(Section):
    """AdamW (arXiv 1711.05101) of the network, and what becomes of its learning rate and gradients.

    ``weight_decay`` spares norms and biases unless ``decay_norms`` is on. The learning rate rises for
    ``warm_up_steps`` steps, linearly from ``warm_up_start`` of itself, and stays. ``clip_norm`` bounds the L2 norm
    of all gradients; null leaves them.
    """

    learning_rate: Rate
    betas: Betas = (0.9, 0.999)
    weight_decay: Weight = 0.0
    decay_norms: bool = False
    warm_up_steps: Annotated[int, Field(ge=0)] = 0
    warm_up_start: Annotated[float, Field(ge=0, le=1)] = 0.1
    clip_norm: Annotated[float, Field(gt=0)] | None = None


class EMARecipe(Section):
    """The moving average of the weights, which is what a run leaves: decay * (1 - exp(-step / warm_up))."""

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.9999
    warm_up: Count = 2000


class TrainingRecipe(Section):
    """The course of a run, whatever it trains.

    ``init_from`` names the weights to start from; without it a training starts from scratch. A step of the optimizer
    sees ``batch_size`` * ``accumulation`` samples of each process. ``max_skipped`` steps in a row whose losses or
    gradients are not finite end the run.
    """

    init_from: str | None = None
    batch_size: Count
    accumulation: Count = 1
    steps: Count
    seed: Seed = 0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    checkpoint_activations: bool = False
    optimizer: OptimizerRecipe
    ema: EMARecipe | None = EMARecipe()
    checkpoint_every: Count = 1000
    max_skipped: Count = 10

    def engine_settings(self) -> EngineSettings:
        """The same as the engine takes it, without samples."""
        optimizer, ema = self.optimizer, self.ema
        return EngineSettings(
            steps=self.steps,
            accumulation=self.accumulation,
            precision=Precision(self.precision),
            clip_norm=optimizer.clip_norm,
            warm_up=WarmUp(steps=optimizer.warm_up_steps, start=optimizer.warm_up_start),
            ema=None if ema is None else EMASettings(decay=ema.decay, warm_up=ema.warm_up),
            seed=self.seed,
            checkpoint_every=self.checkpoint_every,
            sample_every=None,
            max_skipped=self.max_skipped,
        )
