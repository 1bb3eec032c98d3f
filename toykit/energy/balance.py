"""From the sums of eq. (8) to a network's loss: how seeds and unlabelled pixels are weighed against each other.

Eq. (8) adds up sums: NLL over the seeds S, the cross-entropy over the unlabelled pixels U, the Potts term over edges. Taken
as printed, the weight of the unlabelled pixels grows with their number: with scribbles on 3% of a photo, eta = 0.3 gives them
eta |U| / |S|, about ten times the seeds' weight. A gradient step also needs a scale that does not depend on the size of a
crop; otherwise the learning rate would. There are two readings, chosen by `balance`:

    "terms"   ours: each term is divided by its own pixel count in the image, NLL by |S|, the rest by |U| (which keeps the
              sub-problem's ratio of lam to eta); then the mean over the batch. The unlabelled pixels weigh eta against the
              seeds, whatever the length of the scribbles. This is not the balance of eq. (8).
    "seeds"   that of eq. (8): all sums of the batch over the batch's number of seeds, as in the paper's lab's published code.
              The unlabelled pixels weigh eta |U| / |S|. A batch with few or no seeds counts as having `LEAST_SEEDS` of its
              pixels.
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
#: The share of seeds above which logits are interpolated at all pixels, not at the seeds alone.
DENSE = 0.2
#: A class with less than this share of an image's labels gets no weight of its own in `class_weights`.
LEAST_MASS = 1e-3


def seed_nll(logits: Tensor, seeds: Tensor) -> Tensor:
    """Compute the negative log-likelihood, eq. (3), - sum over the seeds of ln sigma^y, per image.

    Parameters
    ----------
    logits : Tensor, float (B, K, H, W)
    seeds : Tensor, uint8 or int64 (B, H, W)
        See `toykit.conventions`.

    Returns
    -------
    Tensor, (B,)
    """
    target = seeds.where(seeds != PADDING, UNLABELLED).long()
    return F.cross_entropy(logits, target, ignore_index=UNLABELLED, reduction="none").flatten(1).sum(1)


def seed_nll_at_cells(logits: Tensor, seeds: Tensor, stride: int) -> Tensor:
    """Compute `seed_nll` of logits at cells, interpolated to the pixels as `toykit.energy.cells.to_pixels` does.

    Where seeds are few, only the seed pixels' logits are interpolated.

    Parameters
    ----------
    logits : Tensor, float (B, K, h, w) or (B, K, H, W)
        At the cells, or at the pixels, which need no interpolation.
    seeds : Tensor, uint8 or int64 (B, H, W)
    stride : int
        Side of the cells in pixels.

    Returns
    -------
    Tensor, (B,)

    Raises
    ------
    ValueError
        For logits of another size.
    """
    if logits.shape[-2:] == seeds.shape[-2:]:
        return seed_nll(logits, seeds)
    cells = cell_size(seeds.shape[-2:], stride)
    if tuple(logits.shape[-2:]) != cells:
        raise ValueError(f"logits: expected {cells} cells of {stride} pixels, got {tuple(logits.shape)}")
    known = seeds < PADDING
    if known.float().mean() > DENSE:
        # image by image: the logits of a batch at the pixels are large, and a third of the time goes into moving them
        pairs = zip(logits.split(1), seeds.split(1), strict=True)
        return torch.cat([seed_nll(to_pixels(one, seeds.shape[-2:], stride), its_seeds) for one, its_seeds in pairs])
    image, row, column = known.nonzero(as_tuple=True)
    height, width = logits.shape[-2:]
    flat = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])
    at_seeds = flat.new_zeros(len(image), flat.shape[1])
    for r, by_row in _between(row, height, stride, logits.dtype):
        for c, by_column in _between(column, width, stride, logits.dtype):
            at_seeds = at_seeds + flat[(image * height + r) * width + c] * (by_row * by_column)[:, None]
    nll = F.cross_entropy(at_seeds, seeds[image, row, column].long(), reduction="none")
    return torch.zeros(len(logits), dtype=nll.dtype, device=nll.device).index_add(0, image, nll)


def _between(pixel: Tensor, cells: int, stride: int, dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    """Find the two cells between whose centres each pixel lies along an axis, and the weight of each."""
    place = ((pixel.to(dtype) + 0.5) / stride - 0.5).clamp_min(0)
    before = place.long().clamp_max(cells - 1)
    share = place - before
    return [(before, 1 - share), ((before + 1).clamp_max(cells - 1), share)]


def network_loss(
    nll: Tensor, unsupervised: Tensor, num_seeds: Tensor, num_unlabelled: Tensor, balance: str = "terms"
) -> Tensor:
    """Compute eq. (8) or (4) as a scalar, from its sums and counts.

    Parameters
    ----------
    nll : Tensor, (B,)
        Sum of the NLL over the seeds.
    unsupervised : Tensor, (B,)
        eta times the sum over unlabelled pixels, plus lam times the sum over edges.
    num_seeds, num_unlabelled : Tensor, int (B,)
        Number of pixels in the two sums. An image without seeds, or without unlabelled pixels, contributes zero for that sum.
    balance : {"terms", "seeds"}, default "terms"
        How the sums are weighed, see the top of this file.

    Returns
    -------
    Tensor, a scalar

    Raises
    ------
    ValueError
        For another balance.
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
    """Compute weights of the unlabelled pixels such that each class of an image has the same total weight.

    Parameters
    ----------
    y : Tensor, float (B, K, H, W)
        Soft labels. They are not differentiated.
    unlabelled : Tensor, bool (B, H, W)

    Returns
    -------
    Tensor, (B, H, W)
        Zero in an image without unlabelled pixels.

    Notes
    -----
    The unlabelled term counts pixels, so that a large background outweighs a small object, while an annotator gives each
    object its own stroke. The weights are

        w_i  proportional to  sum_k y_i^k / m_k,      m_k = sum over unlabelled pixels of y_i^k,      mean 1 over them.

    Classes with less than `LEAST_MASS` of the image's labels are left out: their pixels would weigh too much.
    """
    y = y.detach().where(unlabelled[:, None], 0)
    mass = y.flatten(2).sum(2)
    total = mass.sum(1, keepdim=True)
    share = (mass > LEAST_MASS * total) / mass.where(mass > 0, 1)
    weights = (y * share[:, :, None, None]).sum(1)
    count = unlabelled.flatten(1).sum(1)
    scale = count / weights.flatten(1).sum(1).where(count > 0, 1)
    return weights * scale[:, None, None]
