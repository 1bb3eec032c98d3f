"""How the sums of eq. (8) become a loss: both balances by their definitions, weights of classes, empty cases."""

import pytest
import torch

from toykit import PADDING, UNLABELLED, Energy, SelfLabelingLoss
from toykit.energy.balance import LEAST_SEEDS, class_weights, network_loss, seed_nll


def test_nll_is_minus_the_log_likelihood_of_the_seeds(make_problem):
    logits, _, seeds = make_problem(padding=True)
    expected = [
        -sum(
            logits[b, seeds[b, r, c], r, c] - logits[b, :, r, c].logsumexp(0)
            for r in range(6)
            for c in range(7)
            if seeds[b, r, c] < PADDING
        )
        for b in range(2)
    ]
    assert torch.allclose(seed_nll(logits, seeds), torch.stack(expected))


def test_the_balances_are_their_definitions():
    nll, rest = torch.tensor([6.0, 10.0]), torch.tensor([40.0, 90.0])
    seeds, unlabelled = torch.tensor([3, 5]), torch.tensor([20, 30])
    assert network_loss(nll, rest, seeds, unlabelled, "terms").item() == pytest.approx((2 + 2 + 2 + 3) / 2)
    assert network_loss(nll, rest, seeds, unlabelled, "seeds").item() == pytest.approx((16 + 130) / 8)
    with pytest.raises(ValueError, match="balance: expected one of terms, seeds"):
        network_loss(nll, rest, seeds, unlabelled, "pixels")


@pytest.mark.parametrize("balance", ["terms", "seeds"])
def test_few_seeds_or_none_leave_a_finite_loss(balance, make_problem):
    logits, image, seeds = make_problem(batch=2, height=40, width=40)
    criterion = SelfLabelingLoss(Energy(lam=0), balance=balance)
    seeds[:] = UNLABELLED
    none = criterion(logits, image, seeds)
    assert none.isfinite()
    seeds[0, 0, 0] = 1
    assert criterion(logits, image, seeds).isfinite()
    seeds[:] = PADDING
    assert criterion(logits, image, seeds).item() == 0
    if balance == "seeds":  # as if a thousandth of the pixels were seeds
        seeds[:] = UNLABELLED
        loss = criterion(logits, image, seeds)
        value = criterion.energy(criterion.solution.labels, logits, image, seeds).sum()
        assert loss.item() == pytest.approx(value.item() / (LEAST_SEEDS * seeds.numel()))


def test_eq_8s_balance_weighs_unlabelled_pixels_by_their_number(make_problem):
    logits, image, seeds = make_problem(batch=3, height=12, width=12)
    logits.requires_grad_()
    energy = Energy(eta=0.7)
    criterion = SelfLabelingLoss(energy, balance="seeds")
    loss = criterion(logits, image, seeds)
    value = energy(criterion.solution.labels, logits, image, seeds).sum()
    assert loss.item() == pytest.approx(((seed_nll(logits, seeds).sum() + value) / (seeds < PADDING).sum()).item())


def _half(rank, address, numbers, losses):
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    losses[rank] = network_loss(*(x[rank : rank + 1] for x in numbers), "seeds").item()
    torch.distributed.destroy_process_group()


def test_processes_share_one_number_of_seeds(tmp_path):
    """The mean of two processes' losses, which is what their gradients are averaged to, is one process's loss."""
    numbers = [torch.tensor(x) for x in ([60.0, 9000.0], [400.0, 800.0], [100, 5000], [2000, 3000])]
    losses = torch.multiprocessing.get_context("spawn").Manager().list([0.0, 0.0])
    address = f"file://{tmp_path / 'meeting'}"
    torch.multiprocessing.spawn(_half, (address, numbers, losses), nprocs=2)
    assert sum(losses) / 2 == pytest.approx(network_loss(*numbers, "seeds").item())
    assert losses[0] != pytest.approx(losses[1])


def test_each_class_has_the_same_say():
    y = torch.zeros(1, 3, 4, 10)
    y[:, 0], y[:, 1, 0, :2] = 1, 1
    y[:, 0, 0, :2] = 0
    unlabelled = torch.ones(1, 4, 10, dtype=torch.bool)
    unlabelled[:, 3] = False
    weights = class_weights(y, unlabelled)
    assert weights[0, 0, :2].sum().item() == pytest.approx(weights[0, 1:].sum().item() + weights[0, 0, 2:].sum().item())
    assert weights.sum().item() == pytest.approx(30)
    assert (weights[:, 3] == 0).all()


def test_soft_labels_share_their_classes_weights():
    y = torch.rand(2, 4, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(1)
    unlabelled = torch.rand(2, 6, 5, generator=torch.Generator().manual_seed(1)) < 0.7
    weights = class_weights(y, unlabelled)
    for b in range(2):
        mass = y[b][:, unlabelled[b]].sum(1)
        own = (y[b] / mass[:, None, None]).sum(0).where(unlabelled[b], 0)
        assert torch.allclose(weights[b], own * unlabelled[b].sum() / own.sum())


def test_a_trace_of_a_class_is_left_out_and_nothing_unlabelled_gives_zeros():
    y = torch.tensor([0.9995, 0.0005]).view(1, 2, 1, 1).expand(1, 2, 8, 8)
    unlabelled = torch.ones(1, 8, 8, dtype=torch.bool)
    assert torch.allclose(class_weights(y, unlabelled), torch.ones(1, 8, 8))
    assert (class_weights(y, ~unlabelled) == 0).all()


def test_class_balance_weighs_the_networks_step_only(make_problem):
    logits, image, seeds = make_problem(height=12, width=12)
    logits.requires_grad_()
    plain, balanced = SelfLabelingLoss(tolerance=1e-6), SelfLabelingLoss(tolerance=1e-6, class_balance=True)
    gradients = [torch.autograd.grad(c(logits, image, seeds), logits)[0] for c in (plain, balanced)]
    assert torch.equal(plain.solution.labels, balanced.solution.labels)
    unlabelled = seeds == UNLABELLED
    weights = class_weights(plain.solution.labels, unlabelled)
    ours, theirs = (g.where(unlabelled[:, None], 0) for g in gradients)
    assert torch.allclose(ours * weights[:, None], theirs, atol=1e-12)
    exact = SelfLabelingLoss(Energy("Q", "Q"), "closed_form", class_balance=True)
    single = (logits.detach().float(), image.float(), seeds)
    assert exact(*single).dtype == torch.float32
    with pytest.raises(TypeError, match="class_balance"):
        SelfLabelingLoss(class_balance=1)
