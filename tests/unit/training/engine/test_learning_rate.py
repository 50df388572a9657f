import pytest

from dcae_export.errors import ConfigError
from dcae_export.training.engine.learning_rate import WarmUp


def test_the_warm_up_is_linear_and_then_nothing_changes():
    warm_up = WarmUp(steps=4, start=0.2)
    assert [warm_up.factor(step) for step in (0, 1, 2, 3, 4, 5, 1000)] == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1, 1, 1]
    )


def test_no_warm_up_begins_at_the_learning_rate():
    assert WarmUp(steps=0, start=0.1).factor(0) == 1


@pytest.mark.parametrize("fields", [{"steps": -1, "start": 0.1}, {"steps": 1, "start": 1.5}])
def test_a_warm_up_that_is_none_is_refused(fields):
    with pytest.raises(ConfigError):
        WarmUp(**fields)
