"""Properties of every solver, checked in one place."""

import torch

from toykit import PADDING, solve


def check_solution(solution, energy, logits, image, seeds, tolerance=1e-6):
    """Check a solution: labels in the simplex, vertices on seeds, predictions on padding, a trace that equals the energy."""
    labels, batch = solution.labels, len(logits)
    assert labels.shape == logits.shape
    assert not labels.requires_grad
    assert labels.isfinite().all()
    assert (labels >= 0).all()
    assert (labels.sum(1) - 1).abs().max() < tolerance
    is_seed = seeds < PADDING
    expected = torch.nn.functional.one_hot(seeds.where(is_seed, 0), logits.shape[1]).movedim(-1, 1)
    assert torch.equal(labels.where(is_seed[:, None], 0), expected.where(is_seed[:, None], 0).to(labels))
    prediction = logits.to(labels.dtype).softmax(1)
    padding = (seeds == PADDING)[:, None]
    assert torch.allclose(labels.where(padding, 0), prediction.where(padding, 0), rtol=0, atol=tolerance)
    assert solution.energies.shape == (solution.steps + 1, batch)
    assert solution.residual.shape == (batch,)
    value = energy(labels, logits.to(labels.dtype), image, seeds)
    assert torch.allclose(solution.energies[-1], value, rtol=tolerance, atol=tolerance)
    assert isinstance(solution.converged, bool)
    assert solution.message


def check_fast(energy, *problem):
    """Check the fast solver: it converges, its energy never increases, and it ends no higher than the paper's solver."""
    solution = solve(*problem, energy, tolerance=1e-5)
    check_solution(solution, energy, *problem)
    assert solution.converged
    assert (solution.energies.diff(dim=0) <= 0).all()
    adam = solve(*problem, energy, "gradient", tolerance=0.9)
    assert solution.energies[-1].mean() < 1.001 * adam.energies[-1].mean()
