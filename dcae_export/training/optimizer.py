"""AdamW as a recipe says it."""

from collections.abc import Iterable

from torch import nn
from torch.optim import AdamW

from dcae_export.training.recipe_sections import OptimizerRecipe


def adamw(parameters: Iterable[nn.Parameter], recipe: OptimizerRecipe) -> AdamW:
    """The optimizer of what trains: matrices and the like in its first group, vectors in its second.

    Norms and biases are vectors, and decay only where the recipe says so.
    """
    trained = list(parameters)
    return AdamW(
        [
            {
                "params": [one for one in trained if one.ndim > 1],
                "weight_decay": recipe.weight_decay,
            },
            {
                "params": [one for one in trained if one.ndim <= 1],
                "weight_decay": recipe.weight_decay if recipe.decay_norms else 0.0,
            },
        ],
        lr=recipe.learning_rate,
        betas=recipe.betas,
    )
