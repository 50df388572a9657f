"""The course of a run as its recipe says it."""

from dcae_export.training.diffusion_recipe import DiffusionRecipe
from dcae_export.training.ema import EMASettings
from dcae_export.training.learning_rate import WarmUp
from dcae_export.training.recipe import AutoencoderRecipe
from dcae_export.training.settings import EngineSettings, Precision

Recipe = AutoencoderRecipe | DiffusionRecipe


def engine_settings(recipe: Recipe, *, sample_every: int | None) -> EngineSettings:
    """The engine's settings; ``sample_every`` as there, since not every recipe has samples."""
    ema = recipe.ema
    return EngineSettings(
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        accumulation=recipe.accumulation,
        precision=Precision(recipe.precision),
        clip_norm=recipe.optimizer.clip_norm,
        warm_up=WarmUp(steps=recipe.optimizer.warm_up_steps, start=recipe.optimizer.warm_up_start),
        ema=None if ema is None else EMASettings(decay=ema.decay, warm_up=ema.warm_up),
        seed=recipe.seed,
        checkpoint_every=recipe.checkpoint_every,
        sample_every=sample_every,
        max_skipped=recipe.max_skipped,
    )
