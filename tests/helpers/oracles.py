"""Independent oracles: the paper's formulas as plain loops over floats, sharing no code with the package."""

import itertools
import math

import torch

from toykit import PADDING, UNLABELLED


def unary_by_hand(name, y, sigma):
    """Compute eq. (9), (10), (11) or H_Q of two lists of floats; 0 ln 0 = 0."""
    if name == "CE":
        return -sum(a * math.log(b) for a, b in zip(y, sigma, strict=True) if a > 0)
    if name == "RCE":
        return -sum(b * math.log(a) for a, b in zip(y, sigma, strict=True) if b > 0)
    if name == "CCE":
        return -math.log(sum(a * b for a, b in zip(y, sigma, strict=True)))
    return sum((a - b) ** 2 for a, b in zip(y, sigma, strict=True))


def potts_by_hand(name, p, q):
    """Compute a relaxation of two lists of floats by the first formula in Tables 1 and 2."""
    dot = sum(a * b for a, b in zip(p, q, strict=True))
    cosine = dot / math.sqrt(sum(a * a for a in p) * sum(b * b for b in q))
    half_distance = sum((a - b) ** 2 for a, b in zip(p, q, strict=True)) / 2
    return {
        "BL": lambda: 1 - dot,
        "Q": lambda: half_distance,
        "NQ": lambda: 1 - cosine,
        "CCE": lambda: -math.log(dot),
        "CD": lambda: -math.log(cosine),
        "LQ": lambda: -math.log(1 - half_distance),
    }[name]()


def edges_by_hand(image, connectivity, bandwidth=9.0, factor=2.0, padding=None):
    """Return {(i, j): weight} with i < j of one image (3, H, W), by checking every pair of pixels."""
    _, height, width = image.shape
    edges = {}
    for i in range(height * width):
        for j in range(i + 1, height * width):
            dy, dx = abs(i // width - j // width), abs(i % width - j % width)
            near = dy + dx == 1 if connectivity == 4 else max(dy, dx) == 1
            if not near or (padding is not None and (padding.flatten()[i] or padding.flatten()[j])):
                continue
            distance = sum((a - b) ** 2 for a, b in zip(image.flatten(1)[:, i], image.flatten(1)[:, j], strict=True))
            edges[i, j] = math.exp(-distance / (factor * bandwidth**2))
    return edges


def energies_by_hand(labellings, logits, image, seeds, energy, connectivity=4):
    """Compute the Potts energy of labellings (M, N) of one image, with -ln sigma as unary, from a list of all pixel pairs."""
    sigma, known = logits[0].softmax(0).flatten(1), seeds.flatten().tolist()
    unary = sum(-sigma[labellings[:, n], n].log() for n, s in enumerate(known) if s == UNLABELLED)
    edges = edges_by_hand(image[0], connectivity, padding=seeds[0] == PADDING)
    cut = sum(w * (labellings[:, i] != labellings[:, j]).double() for (i, j), w in edges.items())
    return energy.eta * unary + energy.lam * cut


def all_labellings(seeds, classes):
    """Return all labellings (M, N) of a tiny image that agree with its seeds (class 0 on padding)."""
    choices = [range(classes) if s == UNLABELLED else [s if s < classes else 0] for s in seeds.flatten().tolist()]
    return torch.tensor(list(itertools.product(*choices)))
