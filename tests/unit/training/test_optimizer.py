import pytest
from small_transformers import SMALL_DIT, SMALL_UVIT, random_transformer

from dcae_export.training.optimizer import adamw
from dcae_export.training.recipe_sections import OptimizerRecipe


def optimizer(network, **changes):
    fields = {"learning_rate": 2e-4, "betas": (0.99, 0.98), "weight_decay": 0.03}
    return adamw(network.parameters(), OptimizerRecipe(**(fields | changes)))


@pytest.mark.parametrize("config", [SMALL_DIT, SMALL_UVIT], ids=["dit", "uvit"])
def test_norms_and_biases_decay_where_the_recipe_says_so(config):
    network = random_transformer(config)
    spared = {
        name
        for name, parameter in network.named_parameters()
        if name.endswith("bias") or "norm" in name
    }
    for decay_norms, expected in ((False, 0.0), (True, 0.03)):
        decays = {
            id(parameter): group["weight_decay"]
            for group in optimizer(network, decay_norms=decay_norms).param_groups
            for parameter in group["params"]
        }
        found = {name: decays.pop(id(p)) for name, p in network.named_parameters()}
        assert not decays
        assert {found[name] for name in spared} == {expected}
        assert {decay for name, decay in found.items() if name not in spared} == {0.03}


def test_rate_and_moments_are_the_recipes():
    for group in optimizer(random_transformer(SMALL_UVIT)).param_groups:
        assert (group["lr"], group["betas"]) == (2e-4, (0.99, 0.98))
