import pytest
from tiny_training import settings

from dcae_export.errors import ConfigError


@pytest.mark.parametrize("name", ["steps", "accumulation", "checkpoint_every", "sample_every"])
def test_a_count_of_none_is_refused_by_its_name(name):
    with pytest.raises(ConfigError, match=f"{name} is 0: 1 or more is possible"):
        settings(**{name: 0})


def test_a_bound_of_the_gradients_is_positive_or_none():
    assert settings(clip_norm=None).clip_norm is None
    with pytest.raises(ConfigError, match="clip_norm is -1"):
        settings(clip_norm=-1)
