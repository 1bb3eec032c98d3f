"""Images of any number of channels: grey, RGB, or more; affinities sum over all of them."""

import pytest
import torch

from toykit import Dense, Energy, NearestNeighbors, SelfLabelingLoss, SparseNonLocal, solve
from toykit.energy.cells import cell_inputs

NEIGHBORHOODS = [
    NearestNeighbors(20),
    NearestNeighbors("auto", 8),
    SparseNonLocal(20),
    Dense(60.0, 8.0),
    Dense(60.0, 8.0, exact=True),
]


def inputs(channels, generator):
    logits = torch.randn(2, 3, 10, 12, generator=generator, dtype=torch.float64)
    image = 255 * torch.rand(2, channels, 10, 12, generator=generator, dtype=torch.float64)
    seeds = torch.full((2, 10, 12), 255)
    seeds[:, 2, 2:5], seeds[:, 7, 3:9], seeds[1, :, -1] = 0, 2, 254
    return logits, image, seeds


def energy_of(neighborhood):
    return Energy("Q", "Q", neighborhood=neighborhood)


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=str)
def test_grey_is_rgb_of_equal_channels_with_a_wider_bandwidth(neighborhood, generator):
    logits, image, seeds = inputs(1, generator)
    y = logits.softmax(1)
    same = energy_of(neighborhood)(y, logits, image / 3**0.5, seeds)
    spread = image / 3  # |(x, x, x)|^2 = 3 x^2, so both distances are x^2 / 3
    assert torch.allclose(energy_of(neighborhood)(y, logits, spread.expand(-1, 3, -1, -1), seeds), same, rtol=2e-3)


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS, ids=str)
def test_every_channel_matters_and_constant_ones_do_not(neighborhood, generator):
    logits, image, seeds = inputs(5, generator)
    y = logits.softmax(1)
    energy = energy_of(neighborhood)
    value = energy(y, logits, image, seeds)
    padded = torch.cat([image, torch.full_like(image[:, :1], 77)], 1)
    assert torch.allclose(energy(y, logits, padded, seeds), value, rtol=2e-2)
    if not (isinstance(neighborhood, NearestNeighbors) and neighborhood.bandwidth == "auto"):
        assert not torch.allclose(energy(y, logits, image[:, :4], seeds), value, rtol=2e-2)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_solvers_and_the_loss_take_any_number(channels, generator):
    logits, image, seeds = inputs(channels, generator)
    exact = solve(logits, image, seeds, energy_of(NearestNeighbors(20)), "closed_form").labels
    for method, options in (
        ("fast", {"kernel": "torch", "tolerance": 1e-9, "max_steps": 1000}),
        ("gradient", {"steps": 400}),
    ):
        labels = solve(
            logits, image, seeds, energy_of(NearestNeighbors(20)), method, on_failure="ignore", **options
        ).labels
        assert (labels - exact).abs().amax() < 0.02, method
    loss = SelfLabelingLoss(Energy(), stride=2, kernel="torch")
    leaf = logits.requires_grad_()
    loss(leaf, image, seeds).backward()
    assert leaf.grad.abs().sum() > 0
    assert cell_inputs(logits.detach(), image, seeds, 2)[1].shape == (2, channels, 5, 6)
