"""Ten thousand random inputs, valid and invalid: each gives a finite, feasible result or an error that names the fault."""

import math
import random
import re
from collections import Counter

import pytest
import torch

from toykit import PADDING, UNLABELLED, Energy, NearestNeighbors, SelfLabelingLoss, random_walker, solve
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.potts import RELAXATIONS

pytestmark = [
    pytest.mark.filterwarnings("ignore::toykit.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:image. all values lie:UserWarning"),
]

FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
INTEGERS = [torch.uint8, torch.int16, torch.int32, torch.int64]
#: An acceptable message names one of these.
ARGUMENTS = re.compile(r"\b(logits|image|seeds|y|eta|lam|bandwidth|factor|connectivity|lr|steps|tolerance|optimizer)\b")
CALLS = [
    "solve",
    "fast",
    "random_walker",
    "closed_form",
    "value",
    "self_labeling_loss",
    "weakly_supervised_loss",
    "module",
]
FAULTS = [
    "nan logits", "inf logits", "nan image", "inf image", "bright image", "dark image", "high seed", "negative seed",
    "float seeds", "bool seeds", "integer logits", "one class", "255 classes", "logits ndim", "image ndim",
    "seeds ndim", "image shape", "seeds shape", "batch", "empty", "channels", "list", "none", "negative eta", "nan lam",
    "zero steps", "wrong lr", "bandwidth",
]  # fmt: skip


def good_input(rng, g):
    """Return (logits, image, seeds), valid but as unusual as valid input may be."""
    shape = rng.choice([(1, 1), (1, 1), (1, 5), (4, 1), (2, 3), (5, 4)])
    classes = rng.choice([2, 2, 3, 5, 21, 150])
    batch, dtype = rng.choice([1, 1, 2, 3]), rng.choice(FLOATS)
    logits = torch.randn(batch, classes, *shape, generator=g, dtype=torch.float64)
    logits = logits * rng.choice([0, 1, 10, 100, 1e4])
    if rng.random() < 0.3:
        logits = logits.sign() * (1e4 if dtype == torch.float16 else rng.choice([1e4, 1e30]))
    image = torch.rand(batch, 3, *shape, generator=g) * rng.choice([0, 0.5, 20, 255])
    seeds = torch.randint(0, classes, (batch, *shape), generator=g)
    seeds = seeds.where(torch.rand(seeds.shape, generator=g) < rng.choice([0, 0.1, 0.5, 1]), UNLABELLED)
    seeds = seeds.where(torch.rand(seeds.shape, generator=g) > rng.choice([0, 0, 0.3, 1]), PADDING)
    image = image.to(rng.choice([torch.uint8, torch.float16, torch.float32, torch.float64]))
    return logits.to(dtype), image, seeds.to(rng.choice([torch.uint8, *INTEGERS]) if classes < 100 else torch.int64)


def spoil(fault, rng, logits, image, seeds, choices):
    """Put one fault into a valid input; `choices` (of Energy, neighbourhood and solver) are changed in place."""
    spot = (0, 0, -1, -1)
    if fault.endswith(("logits", "image")) and fault.split()[0] in ("nan", "inf", "bright", "dark"):
        value = {"nan": math.nan, "inf": rng.choice([math.inf, -math.inf]), "bright": 300.0, "dark": -20.0}
        target = logits.clone() if fault.endswith("logits") else image.float()
        target[spot] = value[fault.split()[0]]
        logits, image = (target, image) if fault.endswith("logits") else (logits, target)
    elif fault == "high seed":
        seeds = seeds.long()
        seeds[0, -1, -1] = rng.choice([logits.shape[1], 253, 256, 10**9])
    elif fault == "negative seed":
        seeds = seeds.long()
        seeds[0, 0, 0] = rng.choice([-1, -100])
    elif fault == "float seeds":
        seeds = seeds.float()
    elif fault == "bool seeds":
        seeds = seeds > 0
    elif fault == "integer logits":
        logits = logits.clamp(-9, 9).to(rng.choice(INTEGERS[1:]))
    elif fault == "one class":
        logits = logits[:, :1]
    elif fault == "255 classes":
        logits = logits[:, :1].expand(-1, 255, -1, -1)
    elif fault.endswith("ndim"):
        which = fault.split()[0]
        change = rng.choice([lambda x: x[0], lambda x: x[None]])
        logits, image, seeds = (
            change(x) if n == which else x for n, x in (("logits", logits), ("image", image), ("seeds", seeds))
        )
    elif fault == "image shape":
        image = torch.cat([image, image], rng.choice([2, 3]))
    elif fault == "seeds shape":
        seeds = torch.cat([seeds, seeds], rng.choice([1, 2]))
    elif fault == "batch":
        logits = torch.cat([logits, logits])
    elif fault == "empty":
        logits, image, seeds = (x[..., :0] for x in (logits, image, seeds))
    elif fault == "channels":
        image = image[:, :0]
    elif fault in ("list", "none"):
        make = (lambda x: x.tolist()) if fault == "list" else (lambda x: None)
        which = rng.randrange(3)
        logits, image, seeds = (make(x) if i == which else x for i, x in enumerate((logits, image, seeds)))
    else:
        name, value = {
            "negative eta": ("eta", -0.1),
            "nan lam": ("lam", math.nan),
            "zero steps": ("steps", 0),
            "wrong lr": ("lr", rng.choice([0, -1, math.nan])),
            "bandwidth": ("bandwidth", -3),
        }[fault]
        choices[name] = value
    return logits, image, seeds


def call(name, logits, image, seeds, choices):
    """Run one entry point; return its tensors by name."""
    neighborhood = NearestNeighbors(choices["bandwidth"], choices["connectivity"])
    terms = (
        ("Q", "Q") if name in ("random_walker", "closed_form") else (choices["cross_entropy"], choices["relaxation"])
    )
    energy = Energy(*terms, choices["eta"], choices["lam"], neighborhood)
    descent = {k: choices[k] for k in ("optimizer", "lr", "steps")}
    if name == "random_walker":
        solution = random_walker(logits, image, seeds, choices["eta"], choices["lam"], neighborhood)
    elif name == "closed_form":
        solution = solve(logits, image, seeds, energy, method="closed_form")
    elif name == "solve":
        solution = solve(logits, image, seeds, energy, "gradient", **descent)
    elif name == "fast":
        solution = solve(logits, image, seeds, energy, max_steps=3)
    else:
        if torch.is_tensor(logits) and logits.dtype.is_floating_point:
            logits = logits.detach().requires_grad_()
        if name == "module":
            value = SelfLabelingLoss(energy, "gradient", **descent)(logits, image, seeds)
        elif name == "weakly_supervised_loss":
            value = energy.weakly_supervised_loss(logits, image, seeds)
        else:
            y = choices["y"]
            value = (
                energy(y, logits, image, seeds)
                if name == "value"
                else energy.self_labeling_loss(y, logits, image, seeds)
            )
        (gradient,) = torch.autograd.grad(value.sum(), logits)
        return {"value": value, "gradient": gradient}
    return {"labels": solution.labels, "value": solution.energies, "residual": solution.residual}


def fault_of(tensors, seeds):
    """Return the fault of a result, or None."""
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            return f"{name} is not finite"
    if "labels" in tensors:
        labels, seeds = tensors["labels"], seeds.long()
        if (labels < 0).any() or ((labels.sum(1) - 1).abs() > 1e-4).any():
            return "labels lie off the simplex"
        at_seeds = labels.gather(1, seeds.where(seeds < PADDING, 0)[:, None])[:, 0]
        if (at_seeds[seeds < PADDING] != 1).any():
            return "labels on seeds are not the ground truth"
    return None


def test_ten_thousand_inputs():
    rng, g = random.Random(0), torch.Generator().manual_seed(0)
    counts, complaints = Counter(), []
    for trial in range(10_000):
        logits, image, seeds = good_input(rng, g)
        fault = rng.choice(FAULTS) if rng.random() < 0.4 else None
        name = rng.choice(CALLS)
        choices = {
            "cross_entropy": rng.choice(list(CROSS_ENTROPIES)), "relaxation": rng.choice(list(RELAXATIONS)),
            "eta": rng.choice([0, 1e-3, 0.3, 10]), "lam": rng.choice([0, 1e-3, 6, 100]),
            "bandwidth": rng.choice([0.1, 3, 9.0, 1e3, "auto"]), "connectivity": rng.choice([4, 8]),
            "optimizer": rng.choice(["gd", "adam"]), "lr": rng.choice([1e-3, 0.075, 1]), "steps": rng.choice([1, 2]),
        }  # fmt: skip
        floating = torch.float64 if logits.dtype == torch.float64 else torch.float32
        choices["y"] = torch.randn(logits.shape, generator=g, dtype=floating).mul(rng.choice([1, 100])).softmax(1)
        story = f"{name}, {fault}, {logits.dtype} {tuple(logits.shape)}, {choices | {'y': None}}"
        if fault:
            logits, image, seeds = spoil(fault, rng, logits, image, seeds, choices)
        complaint = None
        try:
            tensors = call(name, logits, image, seeds, choices)
        except (ValueError, TypeError) as error:
            counts["refused"] += 1
            undetermined = "no seed reaches" in str(error) and choices["eta"] == 0
            if not ARGUMENTS.search(str(error)) or not (fault or undetermined):
                complaint = f"{type(error).__name__}: {error}"
        except Exception as error:  # any other error is reported below
            complaint = f"{type(error).__name__}: {error}"
        else:
            counts["answered"] += 1
            ignored = {"zero steps", "wrong lr"} if name not in ("solve", "module") else set()
            complaint = fault_of(tensors, seeds) if fault is None or fault in ignored else "accepted"
        if complaint:
            complaints.append(f"trial {trial}: {story}: {complaint}")
    assert not complaints, f"{len(complaints)} complaints, the first: " + "\n".join(complaints[:10])
    assert counts["refused"] > 1000, counts
    assert counts["answered"] > 1000, counts
