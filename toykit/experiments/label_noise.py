"""Training under label noise (Fig. 3 d): which cross-entropy forgives wrong labels?

The caption's protocol: ResNet-18; a share eta of the training images gets a wrong label; all losses see soft targets
eta * u + (1 - eta) * y, the mixture of the observed, perhaps wrong one-hot label y and the uniform distribution u
(`toykit.simplex.mix_with_uniform`); accuracy is measured on clean test images. "Replaced by a random label" is read as:
by one of the other K - 1 classes. Size, optimiser and schedule are ours; the paper does not give them.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from toykit._shared.files import write_atomically
from toykit._shared.torchvision import torchvision
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.datasets.natural_scenes import Scenes
from toykit.simplex import mix_with_uniform, one_hot, softmax


@dataclass(frozen=True)
class Settings:
    """The grid and the training of each of its cells.

    losses: of `CROSS_ENTROPIES`. noise: shares eta in [0, 1]. seeds: each draws weights, order, flips and wrong labels.
    epochs, batch: images a step. lr: the peak of Adam's rate, which rises for a fifth of the steps and then falls like a
    cosine to 0. shift: random shifts by up to so many pixels. bfloat16: mixed precision, for processors that have it.
    Raises: ValueError for anything else.
    """

    losses: tuple[str, ...] = ("CE", "RCE", "CCE")
    noise: tuple[float, ...] = (0.0, 0.3, 0.5, 0.7)
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int = 8
    batch: int = 64
    lr: float = 1e-3
    shift: int = 4
    bfloat16: bool = False

    def __post_init__(self):
        for name in ("losses", "noise", "seeds"):
            values = tuple(getattr(self, name))
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name}: expected at least one value, each once; got {values}")
            object.__setattr__(self, name, values)
        if unknown := set(self.losses) - set(CROSS_ENTROPIES):
            raise ValueError(f"losses: expected some of {', '.join(CROSS_ENTROPIES)}; got {', '.join(sorted(unknown))}")
        if not all(0 <= eta <= 1 for eta in self.noise):
            raise ValueError(f"noise: expected shares in [0, 1], got {self.noise}")
        for name, least in (("epochs", 1), ("batch", 2), ("shift", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: expected an integer of at least {least}, got {value!r}")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr: expected a positive number, got {self.lr!r}")


@dataclass(frozen=True)
class Cell:
    """What one training run came to.

    accuracies: on the clean test images after each epoch, in [0, 1]. confidence: there, after the last epoch, the mean of
    the largest predicted probability.
    """

    loss: str
    noise: float
    seed: int
    accuracies: tuple[float, ...]
    confidence: float

    @property
    def accuracy(self) -> float:
        """After the last epoch: none is chosen by looking at the test images."""
        return self.accuracies[-1]


def corrupt(labels: Tensor, share: float, num_classes: int, generator: torch.Generator) -> Tensor:
    """Labels (N,) of which round(share * N) are replaced by another class, drawn uniformly from the other K - 1.

    At one generator state, the wrong labels of a smaller share are among those of a larger one.
    """
    wrong = torch.randperm(len(labels), generator=generator)[: round(share * len(labels))]
    other = torch.randint(1, num_classes, labels.shape, generator=generator)
    corrupted = labels.clone()
    corrupted[wrong] = (labels[wrong] + other[wrong]) % num_classes
    return corrupted


def targets(observed: Tensor, eta: float, num_classes: int) -> Tensor:
    """The caption's soft targets (N, K): eta * u + (1 - eta) * y for observed labels (N,)."""
    return mix_with_uniform(one_hot(observed, num_classes), eta)


def pull(loss: str, eta: float, sure: float, num_classes: int = 6) -> float:
    """How hard one image pulls: -dH/dl for its observed class, where the network predicts that class with sigma = `sure`.

    The other classes share the rest evenly. Float64. Raises: ValueError if `sure` is not strictly between 0 and 1.
    """
    if not 0 < sure < 1:
        raise ValueError(f"sure: expected a probability strictly between 0 and 1, got {sure!r}")
    sigma = torch.full((1, num_classes), (1 - sure) / (num_classes - 1), dtype=torch.float64)
    sigma[0, 0] = sure
    with torch.enable_grad():
        logits = sigma.log().requires_grad_()
        soft = targets(torch.tensor([0]), eta, num_classes).double()
        (gradient,) = torch.autograd.grad(CROSS_ENTROPIES[loss](soft, softmax(logits)).sum(), logits)
    return -float(gradient[0, 0])


def train(
    loss: str,
    noise: float,
    seed: int,
    train_set: Scenes,
    test_set: Scenes,
    settings: Settings,
    progress: Callable[[], object] = lambda: None,
) -> Cell:
    """Train one ResNet-18 from random weights. The same arguments give the same cell. progress: called after each epoch."""
    num_classes, n = len(train_set.classes), len(train_set.labels)
    generator = torch.Generator().manual_seed(seed)
    soft = targets(corrupt(train_set.labels, noise, num_classes, generator), noise, num_classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = torchvision().models.resnet18(num_classes=num_classes).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), settings.lr, fused=True)
    batches = math.ceil(n / settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.lr, total_steps=settings.epochs * batches, pct_start=0.2, cycle_momentum=False
    )
    padded = _channels_last(train_set.images, settings.shift)
    accuracies = []
    for _ in range(settings.epochs):
        network.train()
        # chunks of nearly one size: batch norm wants no batch of a single image
        for chosen in torch.randperm(n, generator=generator).tensor_split(batches):
            images = _jitter(padded, chosen, settings.shift, generator)
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
                logits = network(images)
            optimizer.zero_grad()
            CROSS_ENTROPIES[loss](soft[chosen], softmax(logits.float())).mean().backward()
            optimizer.step()
            schedule.step()
        sigma = _predict(network, test_set.images, settings)
        accuracies.append(float((sigma.argmax(1) == test_set.labels).float().mean()))
        progress()
    return Cell(loss, noise, seed, tuple(accuracies), float(sigma.amax(1).mean()))


def sweep(
    train_set: Scenes, test_set: Scenes, settings: Settings, folder: str | Path, progress: bool | None = None
) -> list[Cell]:
    """All cells of the grid, one JSON file each in `folder`; what is there already is read, so a stopped sweep goes on.

    A file's name holds a digest of the training's settings and the data: other settings never reuse it. progress: whether
    to show a bar on standard error (default: where that is a terminal).
    Raises: ValueError, naming the file, for one that holds no cell.
    """
    from tqdm import tqdm

    folder, digest = Path(folder), _digest(train_set, test_set, settings)
    grid = list(product(settings.seeds, settings.noise, settings.losses))  # a first seed of everything comes first
    cells = []
    hidden = None if progress is None else not progress  # None: tqdm looks for a terminal itself
    with tqdm(total=len(grid) * settings.epochs, desc="label noise", unit="epoch", disable=hidden) as bar:
        for number, (seed, noise, loss) in enumerate(grid):
            bar.set_postfix(cells=f"{number}/{len(grid)}", now=f"{loss} {noise:g}")
            path = folder / f"{loss}-{noise:g}-{seed}-{digest}.json"
            if path.is_file():
                cells.append(_read(path))
                bar.total -= settings.epochs  # the time left is that of the cells to come
                bar.refresh()
                continue
            started = time.perf_counter()
            cell = train(loss, noise, seed, train_set, test_set, settings, bar.update)
            content = asdict(cell) | {"seconds": time.perf_counter() - started, "settings": asdict(settings)}
            content |= {"source": train_set.source, "images": list(train_set.images.shape)}
            text = json.dumps(content, indent=1)
            write_atomically(path, lambda file, text=text: file.write(text.encode()))
            cells.append(cell)
    return cells


def interval(values: list[float], confidence: float = 0.95) -> tuple[float, float]:
    """Mean and half-width of Student's t interval for the mean; the half-width of a single value is NaN."""
    from scipy import stats

    if not values or not 0 < confidence < 1:
        raise ValueError(f"expected values and a confidence in (0, 1), got {len(values)} values and {confidence}")
    x = torch.tensor(values, dtype=torch.float64)
    if len(values) == 1:
        return float(x), math.nan
    return float(x.mean()), float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * x.std() / math.sqrt(len(values)))


def _channels_last(images: Tensor, margin: int) -> Tensor:
    """(N, 3, H, W) with a reflected margin, as (N, H, W, 3): the shape that `_jitter` picks from."""
    padded = torch.nn.functional.pad(images.float(), [margin] * 4, mode="reflect") if margin else images
    return padded.to(torch.uint8).movedim(1, -1).contiguous()


def _jitter(padded: Tensor, chosen: Tensor, shift: int, generator: torch.Generator) -> Tensor:
    """The chosen images, each shifted and perhaps flipped, float32 (B, 3, H, W) in about -1..1, channels last."""
    height, width = (size - 2 * shift for size in padded.shape[1:3])
    down, right = torch.randint(2 * shift + 1, (2, len(chosen), 1), generator=generator)
    rows, columns = torch.arange(height) + down, torch.arange(width).expand(len(chosen), -1)
    flip = torch.rand(len(chosen), 1, generator=generator) < 0.5
    columns = torch.where(flip, columns.flip(1), columns) + right
    return _normalize(padded[chosen[:, None, None], rows[:, :, None], columns[:, None]].movedim(-1, 1))


def _normalize(images: Tensor) -> Tensor:
    return images.float().div_(127.5).sub_(1)


def _predict(network, images: Tensor, settings: Settings) -> Tensor:
    """(N, K), the predicted distributions."""
    network.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
        parts = images.split(256)
        logits = [network(_normalize(part).contiguous(memory_format=torch.channels_last)).float() for part in parts]
    return torch.cat(logits).softmax(1)


def _digest(train_set: Scenes, test_set: Scenes, settings: Settings) -> str:
    training = {k: v for k, v in asdict(settings).items() if k not in ("losses", "noise", "seeds")}
    found = hashlib.sha256(json.dumps(training, sort_keys=True).encode())
    for scenes in (train_set, test_set):
        for tensor in (scenes.images, scenes.labels):
            found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()[:12]


def _read(path: Path) -> Cell:
    try:
        content = json.loads(path.read_text())
        return Cell(**{name: content[name] for name in ("loss", "noise", "seed", "confidence")},
                    accuracies=tuple(content["accuracies"]))  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a finished cell ({error!r}); delete it to train it again") from error
