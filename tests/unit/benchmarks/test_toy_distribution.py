import math

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from benchmarks.toy_distribution import (
    CLASSES,
    SHAPE,
    Mixture,
    ToyDistribution,
    labels_in_turn,
    toy_distribution,
)

COUNT = 20_000
# Standard deviations of a mean over COUNT that a right one stays within.
SIGMAS = 5
ROUNDING = 1e-12


def generator(seed=0):
    return np.random.default_rng(seed)


def two_normals(distance):
    """Two classes, each a normal distribution with the same correlated noise, ``distance`` of its widths apart."""
    covariance = np.array([[1.0, 0.6], [0.6, 2.0]])
    step = np.linalg.cholesky(covariance) @ np.array([distance, 0.0])
    return ToyDistribution(
        shape=(2, 1, 1),
        mixtures=tuple(
            Mixture(weights=np.ones(1), means=mean[None], covariance=covariance)
            for mean in (np.zeros(2), step)
        ),
    )


@pytest.mark.parametrize("label", range(len(CLASSES)))
def test_a_class_is_drawn_with_its_mean_and_covariance(label):
    mixture = toy_distribution().mixtures[label]
    drawn = mixture.draw(COUNT, generator())
    mean = mixture.weights @ mixture.means
    between = (mixture.means - mean).T * mixture.weights @ (mixture.means - mean)
    covariance = mixture.covariance + between
    widths = np.sqrt(np.diag(covariance))
    assert np.abs((drawn.mean(axis=0) - mean) / widths).max() < SIGMAS / math.sqrt(COUNT)
    error = (np.cov(drawn.T) - covariance) / np.outer(widths, widths)
    # The variance of a normal covariance's entry is at most twice the product of the variances, over COUNT.
    assert np.abs(error).max() < SIGMAS * math.sqrt(2 / COUNT)


@pytest.mark.parametrize("label", range(len(CLASSES)))
def test_components_are_drawn_in_their_shares(label):
    mixture = toy_distribution().mixtures[label]
    # Without noise a sample tells where it came from.
    bare = Mixture(
        weights=mixture.weights,
        means=mixture.means,
        covariance=1e-12 * np.eye(mixture.means.shape[1]),
    )
    drawn = bare.draw(COUNT, generator())
    nearest = np.linalg.norm(drawn[:, None] - mixture.means, axis=2).argmin(axis=1)
    shares = np.bincount(nearest, minlength=len(mixture.weights)) / COUNT
    assert shares == pytest.approx(mixture.weights, abs=SIGMAS * 0.5 / math.sqrt(COUNT))


def test_the_density_is_that_of_scipy():
    mixture = toy_distribution().mixtures[1]
    x = mixture.draw(20, generator(3))
    parts = [
        np.log(weight) + multivariate_normal(mean, mixture.covariance).logpdf(x)
        for weight, mean in zip(mixture.weights, mixture.means, strict=True)
    ]
    assert mixture.log_density(x) == pytest.approx(logsumexp(parts, axis=0), rel=1e-9)


@pytest.mark.parametrize(("signal", "noise"), [(0.0, 1.0), (0.6, 0.8), (0.95, 0.3)])
def test_the_origin_of_a_state_is_the_mean_of_what_it_can_have_come_from(signal, noise):
    mixture = Mixture(
        weights=np.array([0.6, 0.4]),
        means=np.array([[1.0, 0.0], [-1.0, 0.5]]),
        covariance=np.array([[0.5, 0.2], [0.2, 0.3]]),
    )
    state = np.array([[0.3, -0.4], [1.2, 0.1]])
    drawn = mixture.draw(COUNT, generator())
    added = (state[:, None] - signal * drawn) / noise
    # Each draw counts by how probable the state is after it.
    shares = np.exp(-0.5 * np.square(added).sum(axis=2))
    shares /= shares.sum(axis=1, keepdims=True)
    for found, each in zip(
        mixture.origin(state, signal=signal, noise=noise),
        (np.broadcast_to(drawn, added.shape), added),
        strict=True,
    ):
        mean = np.einsum("sn,snd->sd", shares, each)
        error = np.sqrt(np.einsum("sn,snd->sd", shares**2, np.square(each - mean[:, None])))
        assert (np.abs(found - mean) <= SIGMAS * error + ROUNDING).all()


def test_the_origin_of_a_state_without_noise_is_itself():
    distribution = toy_distribution()
    labels = labels_in_turn(6)
    latents = distribution.draw(labels, generator())
    data, added = distribution.origin(latents, labels, signal=1.0, noise=0.0)
    assert data == pytest.approx(latents, rel=1e-5)
    assert (added == 0).all()


def test_the_origin_of_a_latents_state_is_that_of_its_class():
    distribution = toy_distribution()
    labels = np.array([2, 0, 2])
    state = generator().standard_normal((3, *SHAPE)).astype(np.float32)
    data, added = distribution.origin(state, labels, signal=0.6, noise=0.8)
    assert 0.6 * data + 0.8 * added == pytest.approx(state, rel=1e-4)
    for latent, label, mean in zip(state, labels, data, strict=True):
        flat = latent.reshape(1, -1).astype(np.float64)
        alone, _ = distribution.mixtures[label].origin(flat, signal=0.6, noise=0.8)
        assert mean.reshape(1, -1) == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("distance", [0.0, 1.0, 3.0])
def test_the_classifier_is_right_as_often_as_the_best_one(distance):
    distribution = two_normals(distance)
    labels = np.arange(COUNT) % 2
    found = distribution.classify(distribution.draw(labels, generator()))
    expected = norm.cdf(distance / 2)
    assert (found == labels).mean() == pytest.approx(expected, abs=SIGMAS * 0.5 / math.sqrt(COUNT))


def test_latents_are_of_their_labels_whatever_the_order():
    distribution = two_normals(50.0)
    labels = np.array([1, 1, 0, 1, 0])
    latents = distribution.draw(labels, generator())
    assert (latents.shape, latents.dtype) == ((5, 2, 1, 1), np.float32)
    assert np.array_equal(distribution.classify(latents), labels)


def test_the_classes_overlap_a_little_and_are_of_a_latents_size():
    distribution = toy_distribution()
    labels = labels_in_turn(6000)
    assert np.bincount(labels).tolist() == [2000] * len(CLASSES)
    latents = distribution.draw(labels, generator())
    assert latents.shape == (6000, *SHAPE)
    # Far from chance, and not so far that every wrong sample is told.
    assert 0.85 < (distribution.classify(latents) == labels).mean() < 0.98
    # As what a scaling factor leaves.
    assert 0.7 < np.sqrt(np.square(latents).mean()) < 1.1
