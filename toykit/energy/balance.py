"""From the sums of eq. (8) to a network's loss: how seeds and unlabelled pixels are weighed against each other.

Eq. (8) adds up sums: NLL over the seeds S, the cross-entropy over the unlabelled pixels U, the Potts term over edges. Taken
as printed, the weight of the unlabelled pixels grows with their number: at scribbles on 3% of a photo, eta = 0.3 gives them
eta |U| / |S|, about ten times the seeds' weight. A gradient step needs a scale too, so that the learning rate does not depend
on the size of a crop. Two readings, chosen by `balance`:

    "terms"   ours: each term is divided by its own pixel count in the image, NLL by |S|, the rest by |U| (which keeps the
              sub-problem's ratio of lam to eta); then the batch's mean. The unlabelled pixels weigh eta against the seeds,
              whatever the length of the scribbles. This is not eq. (8)'s balance.
    "seeds"   eq. (8)'s own: all sums of the batch over the batch's number of seeds, as in the paper's lab's published code. The
              unlabelled pixels weigh eta |U| / |S|. A batch of few or no seeds counts as having `LEAST_SEEDS` of its pixels.
              In a distributed run the batch is that of all processes, which must all compute the loss.
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit.conventions import PADDING, UNLABELLED
from toykit.energy.cells import cell_size, to_pixels

BALANCES = ("terms", "seeds")
#: "seeds": the least share of the pixels by which a batch is divided, so that three clicks do not make the loss explode.
LEAST_SEEDS = 1e-3
#: The share of seeds above which logits are interpolated at all pixels.
DENSE = 0.2
#: A class with less than this share of an image's labels gets no weight of its own in `class_weights`.
LEAST_MASS = 1e-3


def seed_nll(logits: Tensor, seeds: Tensor) -> Tensor:
    """Negative log-likelihood (3), - sum over the seeds of ln sigma^y, per image: (B,).

    logits: (B, K, H, W). seeds: int64 (B, H, W), see `toykit.conventions`.
    """
    target = seeds.where(seeds != PADDING, UNLABELLED)
    return F.cross_entropy(logits, target, ignore_index=UNLABELLED, reduction="none").flatten(1).sum(1)


def seed_nll_at_cells(logits: Tensor, seeds: Tensor, stride: int) -> Tensor:
    """Compute `seed_nll` of logits at cells (B, K, h, w), interpolated to the pixels as `toykit.energy.cells.to_pixels` does: (B,).

    Where seeds are few, only the seed pixels' logits are interpolated. Logits at the pixels are taken as they are.
    Raises: ValueError for logits of another size.
    """
    if logits.shape[-2:] == seeds.shape[-2:]:
        return seed_nll(logits, seeds)
    cells = cell_size(seeds.shape[-2:], stride)
    if tuple(logits.shape[-2:]) != cells:
        raise ValueError(f"logits: expected {cells} cells of {stride} pixels, got {tuple(logits.shape)}")
    known = seeds < PADDING
    if known.float().mean() > DENSE:
        return seed_nll(to_pixels(logits, seeds.shape[-2:], stride), seeds)
    image, row, column = known.nonzero(as_tuple=True)
    height, width = logits.shape[-2:]
    flat = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])
    at_seeds = 0
    for r, by_row in _between(row, height, stride, logits.dtype):
        for c, by_column in _between(column, width, stride, logits.dtype):
            at_seeds = at_seeds + flat[(image * height + r) * width + c] * (by_row * by_column)[:, None]
    nll = F.cross_entropy(at_seeds, seeds[known], reduction="none")
    return torch.zeros(len(logits), dtype=nll.dtype, device=nll.device).index_add(0, image, nll)


def _between(pixel: Tensor, cells: int, stride: int, dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    """The two cells between whose centres each pixel lies along an axis, and the weight of each."""
    place = ((pixel.to(dtype) + 0.5) / stride - 0.5).clamp_min(0)
    before = place.long().clamp_max(cells - 1)
    share = place - before
    return [(before, 1 - share), ((before + 1).clamp_max(cells - 1), share)]


def network_loss(
    nll: Tensor, unsupervised: Tensor, num_seeds: Tensor, num_unlabelled: Tensor, balance: str = "terms"
) -> Tensor:
    """Eq. (8) or (4) as a scalar, from its sums and counts, all (B,).

    nll: over the seeds. unsupervised: eta times the sum over unlabelled pixels and lam times that over edges.
    num_seeds, num_unlabelled: the pixels that the two sums are taken over. balance: "terms" or "seeds", see above.
    An image without seeds, or without unlabelled pixels, contributes zero for what it lacks.
    Raises: ValueError for another balance.
    """
    check_choice("balance", balance, BALANCES)
    unsupervised = unsupervised * (num_unlabelled > 0)
    if balance == "terms":
        return (nll / num_seeds.clamp_min(1) + unsupervised / num_unlabelled.clamp_min(1)).mean()
    counts, processes = torch.stack([num_seeds.sum(), (num_seeds + num_unlabelled).sum()]), 1
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(counts)
        processes = dist.get_world_size()  # whose gradients will be averaged
    seeds, pixels = counts
    return processes * (nll.sum() + unsupervised.sum()) / seeds.clamp_min(1).maximum(LEAST_SEEDS * pixels)


def class_weights(y: Tensor, unlabelled: Tensor) -> Tensor:
    """Weights (B, H, W) with which each class of an image has the same say among its unlabelled pixels.

        w_i  proportional to  sum_k y_i^k / m_k,      m_k = sum over unlabelled pixels of y_i^k,      mean 1 over them

    The unlabelled term counts pixels, so that a large background drowns a small object, while an annotator gives each object
    its stroke. Classes of less than `LEAST_MASS` of the image's labels are left out: their pixels would weigh too much.

    y: soft labels (B, K, H, W). unlabelled: bool (B, H, W). Not differentiated. An image with no unlabelled pixel: zeros.
    """
    y = y.detach().where(unlabelled[:, None], 0)
    mass = y.flatten(2).sum(2)
    total = mass.sum(1, keepdim=True)
    share = (mass > LEAST_MASS * total) / mass.where(mass > 0, 1)
    weights = (y * share[:, :, None, None]).sum(1)
    count = unlabelled.flatten(1).sum(1)
    scale = count / weights.flatten(1).sum(1).where(count > 0, 1)
    return weights * scale[:, None, None]
