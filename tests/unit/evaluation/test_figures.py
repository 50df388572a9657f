import math
from decimal import Decimal

import numpy as np
import pytest

from dcae_export.evaluation.figures import Metric, frechet_figure, mean_figure
from dcae_export.evaluation.moments import Moments
from dcae_export.evaluation.published import Evidence, Published

PUBLISHED = Published(
    value=Decimal("0.69"), count=50_000, setting="", source="", evidence=Evidence.PAPER
)


def moments(count: int, *, size: int = 2, seed: int = 0) -> Moments:
    found = Moments.empty(size)
    found.add(np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32))
    return found


def test_a_mean_is_over_all_pictures():
    figure = mean_figure(Metric(name="PSNR", better="higher", unit="dB"), [1.0, 2.0, 6.0])
    assert figure.trial is None
    assert (figure.value, figure.count, figure.note, figure.unit) == (3.0, 3, "", "dB")


def test_equal_pictures_have_no_mean_and_the_figure_says_why():
    figure = mean_figure(Metric(name="PSNR", better="higher"), [1.0, math.inf])
    assert (figure.value, figure.note) == (None, "infinite for 1 of 2 pictures")


def test_what_is_not_measured_says_so():
    metric = Metric(name="LPIPS", better="lower", missing="not measured: no weights")
    for figure in (mean_figure(metric, []), frechet_figure(metric, moments(3), moments(3))):
        assert (figure.value, figure.count, figure.note) == (None, 0, "not measured: no weights")
    assert mean_figure(Metric(name="SSIM", better="higher"), []).note == "no picture could be read"


def test_a_metric_with_random_weights_gives_a_trial_and_no_value_beside_nothing_published():
    metric = Metric(name="rFID", better="lower", is_random=True, published=PUBLISHED)
    figure = frechet_figure(metric, moments(9), moments(9, seed=1))
    assert figure.value is None
    assert figure.trial == pytest.approx(
        frechet_figure(Metric(name="rFID", better="lower"), moments(9), moments(9, seed=1)).value
    )
    assert figure.note == "random weights, so no rFID"
    assert figure.published is None


def test_a_distance_has_the_published_one_beside_it_and_says_when_pictures_are_few():
    metric = Metric(name="rFID", better="lower", published=PUBLISHED)
    enough = frechet_figure(metric, moments(3), moments(3), note="reference unknown")
    assert enough.value == pytest.approx(0, abs=1e-12)
    assert (enough.note, enough.published) == ("reference unknown", PUBLISHED)
    few = frechet_figure(metric, moments(2), moments(3).gaussian(), note="reference unknown")
    assert few.note == "only 2 pictures for 2 features: more would give less; reference unknown"


@pytest.mark.parametrize("measured", [None, moments(1)])
def test_one_picture_has_no_covariance(measured):
    figure = frechet_figure(Metric(name="FID", better="lower"), measured, moments(9).gaussian())
    assert (figure.value, figure.note) == (None, "needs two pictures")
