"""The substitute for a network: Bayes' rule on Gaussians of colour and position."""

import math

import numpy as np
import pytest
import torch

from toykit import PADDING, UNLABELLED, seed_model
from toykit.seed_model import ABSENT, NOISE, SHRINKAGE, seed_logits


@pytest.fixture
def halves():
    """Return a dark left and a bright right half with noise, and a few seeds in each."""
    g = torch.Generator().manual_seed(0)
    image = torch.full((1, 3, 12, 20), 60.0)
    image[..., 10:] = 180
    image = image + 10 * torch.randn(image.shape, generator=g)
    seeds = torch.full((1, 12, 20), UNLABELLED)
    seeds[:, 4:7, 2:7], seeds[:, 4:7, 13:18] = 0, 1
    return image, seeds


def test_predicts_the_halves(halves):
    image, seeds = halves
    predicted = seed_logits(image, seeds, 2).argmax(1)
    assert (predicted[..., :10] == 0).float().mean() > 0.95
    assert (predicted[..., 10:] == 1).float().mean() > 0.95


def test_equals_the_gaussian_formula(halves):
    image, seeds = halves
    features = np.empty((12, 20, 5))
    features[..., :3] = image[0].permute(1, 2, 0).double().numpy() / 255
    features[..., 3], features[..., 4] = np.linspace(0, 1, 20)[None], np.linspace(0, 1, 12)[:, None]
    own = {k: features[seeds[0].numpy() == k] for k in (0, 1)}
    covariances = {k: np.cov(x.T, bias=True) for k, x in own.items()}
    pooled = (covariances[0] + covariances[1]) / 2
    densities = []
    for k in (0, 1):
        covariance = (1 - SHRINKAGE) * covariances[k] + SHRINKAGE * pooled + NOISE**2 * np.eye(5)
        d = features - own[k].mean(0)
        distance = np.einsum("hwi,ij,hwj->hw", d, np.linalg.inv(covariance), d)
        densities.append(-0.5 * (distance + np.linalg.slogdet(covariance)[1] + 5 * math.log(2 * math.pi)))
    expected = (densities[1] - densities[0]) / 2
    logits = seed_logits(image, seeds, 2, temperature=2.0)[0]
    assert np.abs((logits[1] - logits[0]).numpy() - expected).max() < 1e-3


def test_temperature_classes_without_seeds_and_images_without_any(halves):
    image, seeds = halves
    sharp, flat = seed_logits(image, seeds, 3, temperature=1.0), seed_logits(image, seeds, 3, temperature=4.0)
    assert torch.allclose(sharp, 4 * flat, rtol=1e-5)
    assert torch.allclose(sharp[:, 2], sharp[:, :2].amin(1) - ABSENT, rtol=1e-5)
    nothing = torch.where(torch.rand(seeds.shape) < 0.5, UNLABELLED, PADDING)
    assert (seed_logits(image, nothing, 3) == 0).all()
    single = torch.full_like(seeds, UNLABELLED)
    single[0, 0, 0] = 1  # one pixel: a covariance of zero must not break it
    assert seed_logits(image, single, 2).isfinite().all()


def test_rows_are_computed_a_few_at_a_time(halves, monkeypatch):
    whole = seed_logits(*halves, 2)
    for chunk in (1, 50):  # one row of 20 pixels at a time, and two
        monkeypatch.setattr(seed_model, "CHUNK", chunk)
        assert torch.allclose(seed_logits(*halves, 2), whole, rtol=1e-6)


def test_images_of_a_batch_do_not_mix(halves):
    image, seeds = halves
    other = torch.cat([image, image.flip(-1)]), torch.cat([seeds, seeds.flip(-1)])
    assert torch.allclose(seed_logits(*other, 2)[:1], seed_logits(image, seeds, 2))


def test_bad_input_is_refused(halves):
    image, seeds = halves
    for temperature in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=r"temperature: expected a number in \(0, inf\)"):
            seed_logits(image, seeds, 2, temperature)
    with pytest.raises(ValueError, match=r"seeds: expected .* like the image"):
        seed_logits(image, seeds[:, :5], 2)
    with pytest.raises(ValueError, match=r"seeds: expected a class in 0\.\.1"):
        seed_logits(image, seeds.where(seeds != 1, 7), 2)
