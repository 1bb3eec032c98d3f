"""The quadratic system: the closed form's backends, scikit-image's random walker, and the fast solver's agreement with it."""

import statistics

import torch

from toykit import Energy, datasets, random_walker, soft_jaccard, solve
from toykit.bench.problems import Show, best_time, problems, timed
from toykit.conventions import PADDING, UNLABELLED
from toykit.seed_model import seed_logits


def quadratic(height: int, width: int, show: Show) -> dict[str, float]:
    """Time each backend on the quadratic system, and the seeds-only random walker against scikit-image's.

    Parameters
    ----------
    height, width : int
        Size of the one image, in pixels.
    show : callable
        Prints a line.

    Returns
    -------
    dict
        Seconds by backend, and the fast solver's soft Jaccard index with the exact labels.
    """
    from skimage.segmentation import random_walker as skimage_walker

    logits, image, seeds = problems(1, height, width)
    results = {}
    exact, direct = timed(lambda: random_walker(logits, image, seeds))
    results["direct_seconds"] = direct
    show(f"eta 0.3: scipy direct {direct:.2f} s, residual {_residual(exact.residual):.0e}")
    random_walker(logits, image, seeds, backend="sor", tolerance=0.5)  # compiles
    for backend in ("sor", "cg", "amg"):
        solution, seconds = timed(lambda b=backend: random_walker(logits, image, seeds, backend=b, tolerance=1e-6))
        results[f"{backend}_seconds"] = seconds
        show(
            f"eta 0.3: {backend} {seconds:.2f} s, direct/{backend} {direct / seconds:.1f}, "
            f"residual {_residual(solution.residual):.0e}"
        )
    energy = Energy("Q", "Q")
    seconds = best_time(lambda: solve(logits, image, seeds, energy, tolerance=1e-5), 2)
    solution = solve(logits, image, seeds, energy, tolerance=1e-5)
    error = float((solution.labels.double() - exact.labels).norm() / exact.labels.norm())
    results |= {"fast_seconds": seconds, "fast_jaccard": float(soft_jaccard(solution.labels.double(), exact.labels))}
    show(f"eta 0.3: fast (float32, sweep tolerance 1e-5) {seconds:.2f} s, direct/fast {direct / seconds:.1f}, "
         f"relative error {error:.0e}, soft Jaccard {results['fast_jaccard']:.5f}")  # fmt: skip
    labelled = seeds < PADDING
    classes = len(set(seeds[labelled].tolist()))
    walker, ours = timed(lambda: random_walker(logits[:, :classes], image, seeds, eta=0.0))
    markers = torch.where(labelled[0], seeds[0] + 1, 0).numpy()
    picture = image[0].permute(1, 2, 0).numpy() / 255
    _, theirs = timed(
        lambda: skimage_walker(picture, markers, mode="cg_mg", tol=1e-6, channel_axis=-1, return_full_prob=True)
    )
    results |= {"seeds_only_seconds": ours, "skimage_cg_mg_seconds": theirs, "skimage_to_ours": theirs / ours}
    show(f"seeds only, {classes} classes: ours (direct, residual {_residual(walker.residual):.0e}) {ours:.2f} s, skimage "
         f"cg_mg (tol 1e-6) {theirs:.2f} s, skimage/ours {theirs / ours:.1f}")  # fmt: skip
    return results


def jaccard(show: Show) -> dict[str, float]:
    """Compute the fast solver's soft Jaccard index with the closed form on H_Q + P_Q, over all photos at hand.

    Parameters
    ----------
    show : callable
        Prints a line.

    Returns
    -------
    dict
        Number of scribble maps, mean and smallest index over them, on the unlabelled pixels.
    """
    scores = []
    for sample in [*datasets.photos(320), *datasets.grabcut_seeds(320)]:
        image, seeds = sample.tensors()
        logits = seed_logits(image, seeds, len(sample.classes))
        exact = random_walker(logits, image, seeds).labels
        labels = solve(logits, image, seeds, Energy("Q", "Q")).labels.double()
        scores.append(float(soft_jaccard(labels, exact, seeds == UNLABELLED)))
    show(f"soft Jaccard with the closed form, {len(scores)} scribble maps: mean {statistics.mean(scores):.4%}, "
         f"least {min(scores):.4%}")  # fmt: skip
    return {"maps": len(scores), "mean": statistics.mean(scores), "least": min(scores)}


def _residual(residual: torch.Tensor | None) -> float:
    """Return the residual of the only image."""
    if residual is None:
        raise TypeError("expected a solution of the closed form, which reports its residual")
    return float(residual)
