"""Predictions from one photo: mixtures against numpy, a loss that falls, distances along paths, confidence, features."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from toykit import PADDING, UNLABELLED, Energy, NearestNeighbors
from toykit.mixture_model import Backbone, fit_photo, mixture_logits, model, refine, self_train
from toykit.mixture_model.colour import cielab
from toykit.mixture_model.linear import RIDGE, fit_classifier
from toykit.mixture_model.mixture import OUTLIERS, fit
from toykit.mixture_model.model import FEATURES, cell_colours
from toykit.mixture_model.position import geodesic_distances
from toykit.seed_model import ABSENT, seed_logits


def points_of(generator, *centres, each=60):
    return torch.cat(
        [torch.tensor(c) + 0.03 * torch.randn(each, len(c), generator=generator) for c in centres]
    ).double()


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def disk(side=64, radius=17, noise=6.0):
    """Return a bright disk on a darker ground, with one straight stroke in each."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    inside = (y - side / 2 + 0.5) ** 2 + (x - side / 2 + 0.5) ** 2 <= radius**2
    image = torch.where(inside, 150.0, 100.0).expand(1, 3, -1, -1).clone()
    image = image + noise * torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    image = image.clamp(0, 255)
    seeds = torch.full((1, side, side), UNLABELLED)
    seeds[:, side // 2, side // 2 - 10 : side // 2 + 10] = 1
    seeds[:, 4, 4:-4] = 0
    return image, seeds, inside


def test_density_is_the_formula(generator):
    points = points_of(generator, (0.2, 0.3, 0.1), (0.7, 0.1, 0.0))
    mixture = fit(points, (2,))
    expected = np.full(len(points), OUTLIERS)
    for share, mean, covariance in zip(
        *(x.numpy() for x in (mixture.shares, mixture.means, mixture.covariances)), strict=True
    ):
        d = points.numpy() - mean
        distance = np.einsum("ni,ij,nj->n", d, np.linalg.inv(covariance), d)
        expected += (
            (1 - OUTLIERS) * share * np.exp(-distance / 2) / math.sqrt((2 * math.pi) ** 3 * np.linalg.det(covariance))
        )
    assert np.allclose(mixture.log_density(points).numpy(), np.log(expected))


def test_bic_finds_the_number_of_groups(generator):
    assert len(fit(points_of(generator, (0.5, 0.5, 0.5))).shares) == 1
    assert (
        len(fit(points_of(generator, (0.1, 0.1, 0.1), (0.9, 0.9, 0.1), (0.1, 0.9, 0.9), (0.9, 0.1, 0.9))).shares) == 4
    )


def test_weighted_steps_never_raise_the_loss(generator):
    points = points_of(generator, (0.2, 0.3, 0.1), (0.7, 0.1, 0.0), (0.4, 0.4, 0.4))
    mixture, weights = fit(points[:80], (4,)), torch.rand(len(points), generator=generator).double()
    losses = [mixture.loss(points, weights)]
    for _ in range(20):
        mixture = mixture.step(points, weights)
        losses.append(mixture.loss(points, weights))
    assert (np.diff(losses) <= 1e-9 * abs(losses[0])).all()
    assert losses[-1] < losses[0] - 1
    doubled = mixture.step(torch.cat([points, points]), torch.cat([weights, weights]) / 2)  # a weight is a count
    assert torch.allclose(doubled.means, mixture.step(points, weights).means)


def test_a_class_without_weight_keeps_the_prior(generator):
    points = points_of(generator, (0.2, 0.3, 0.1))
    mixture = fit(points, (1,)).step(points, torch.zeros(len(points)).double())
    assert torch.allclose(mixture.covariances[0], mixture.prior)
    assert mixture.log_density(points).isfinite().all()


def test_cielab_is_scikit_images():
    from skimage.color import rgb2lab

    rgb = torch.rand(3, 7, 9, generator=torch.Generator().manual_seed(0)) * 255
    expected = rgb2lab((rgb / 255).permute(1, 2, 0).double().numpy()) / 100
    assert np.allclose(cielab(rgb).permute(1, 2, 0).numpy(), expected, atol=2e-3)


def test_distances_go_around_walls_and_padding():
    colours = torch.zeros(3, 9, 9)
    colours[0, :8, 4] = 1.0  # a wall with a gap in the last row
    seeds = torch.full((9, 9), UNLABELLED)
    seeds[0, 0] = 0
    step = 2.0 / math.hypot(9, 9)
    distance = geodesic_distances(colours, seeds, [0], 1)[0]
    assert distance[0, 0] == 0
    assert distance[0, 3] == pytest.approx(3 * step)
    assert distance[0, 8] == pytest.approx((8 * math.sqrt(2) + 8) * step)  # through the gap: 8 of 16 steps are diagonal
    seeds[:, 4] = PADDING
    assert geodesic_distances(colours, seeds, [0], 1)[0, 0, 8] == geodesic_distances(colours, seeds, [0], 1).max()
    seeds[4, 8] = 1  # behind padding no class is nearer than another
    both = geodesic_distances(colours, seeds, [0, 1], 1)
    assert (both[0] == both[1])[:, 4].all()


def test_cells_of_a_stroke_are_at_distance_zero():
    seeds = torch.full((8, 12), UNLABELLED)
    seeds[0, 0], seeds[1, 1], seeds[7, 11] = 0, 1, 1  # two classes in the first cell
    distances = geodesic_distances(torch.zeros(3, 2, 3), seeds, [0, 1], 4)
    assert distances[0, 0, 0] == distances[1, 0, 0] == distances[1, 1, 2] == 0
    assert distances[0, 1, 2] > 0


def test_straight_strokes_are_not_extrapolated():
    """The situation in which the stand-in of the notebooks fails: straight strokes that cover part of a class's positions."""
    image, seeds, inside = disk()
    share = float(mixture_logits(image, seeds, 2).argmax(1).float().mean())
    assert abs(share - float(inside.float().mean())) < 0.02
    assert abs(float(seed_logits(image, seeds, 2).argmax(1).float().mean()) - float(inside.float().mean())) > 0.05


def test_sure_beside_a_stroke_and_not_far_from_it():
    image, seeds, _ = disk()
    image[..., 40:, :] = torch.tensor([20.0, 200.0, 40.0])[:, None, None]  # a colour that no stroke has
    confidence = mixture_logits(image, seeds, 2).softmax(1).amax(1)[0]
    assert confidence[seeds[0] != UNLABELLED].min() > 0.99
    assert confidence[50:].mean() < 0.9


def test_absent_classes_padding_and_photos_without_seeds():
    image, seeds, _ = disk()
    logits = mixture_logits(image, seeds, 4)
    assert torch.allclose(logits[:, 2:], (logits[:, :2].amin(1, keepdim=True) - ABSENT).expand(-1, 2, -1, -1))
    nothing = torch.full_like(seeds, UNLABELLED)
    batch = mixture_logits(torch.cat([image, image]), torch.cat([nothing, seeds]), 4)
    assert (batch[0] == 0).all()
    assert torch.allclose(batch[1:], logits)
    single = nothing.clone()
    single[0, 0, 0] = 1
    single[:, 30:] = PADDING
    assert mixture_logits(image, single, 2, energy=Energy()).isfinite().all()
    with pytest.raises(ValueError, match="seeds: expected"):
        mixture_logits(image, seeds[:, :5], 2)
    with pytest.raises(ValueError, match="rounds"):
        mixture_logits(image, seeds, 2, rounds=-1)


def test_a_photo_of_8_bits_is_computed_once_per_colour(monkeypatch):
    """Its logits are those of its pixels, taken block by block; other photos are never rounded."""
    image, seeds, _ = disk(side=24, radius=7)
    for photo in (image[0].round(), image[0]):
        fitted = fit_photo(photo, seeds[0])
        whole = fitted.logits(photo, 4)
        with monkeypatch.context() as context:
            context.setattr(model, "CHUNK", 50)
            assert torch.allclose(fitted.logits(photo, 4), whole, rtol=1e-6)
    assert fitted.logits(image[0].round(), 4).ne(whole).any()


@pytest.mark.parametrize("relaxation", ["CD", "Q"])
def test_labels_and_mixtures_lower_one_loss(relaxation):
    image, seeds, _ = disk(noise=25.0)
    energy = Energy("CE", relaxation, eta=0.3, lam=2.0, neighborhood=NearestNeighbors("auto"))
    model = fit_photo(image[0], seeds[0])
    refined, losses = refine(model, image[0], seeds[0], energy, 4, kernel="torch")
    assert len(losses) >= 4
    assert (np.diff(losses) <= 1e-6 * abs(losses[0])).all(), losses
    assert losses[-1] < losses[0]
    assert not torch.equal(refined.mixtures[0].means, model.mixtures[0].means)
    assert torch.equal(refined.evidence, model.evidence)


def test_no_refit_without_a_unary_term_or_rounds():
    image, seeds, _ = disk()
    model = fit_photo(image[0], seeds[0])
    assert refine(model, image[0], seeds[0], Energy(eta=0.0), 3) == (model, [])
    assert refine(model, image[0], seeds[0], Energy(), 0) == (model, [])
    plain, twice = (mixture_logits(image, seeds, 2, energy=Energy(), rounds=n, kernel="torch") for n in (0, 2))
    assert torch.equal(plain, mixture_logits(image, seeds, 2))
    assert not torch.allclose(plain, twice, atol=1e-3)


def test_the_linear_classifier_is_a_regularised_optimum(generator):
    """The bias has no ridge: at the optimum each class's mean probability over the balanced seeds is its share."""
    seeds = torch.full((12, 12), UNLABELLED)
    seeds[:4, :4], seeds[8:, 8:] = 0, 2
    features = [torch.randn(5, 12, 12, generator=generator), torch.randn(3, 6, 6, generator=generator)]
    features[0][0, :, :6] += 3
    scores = fit_classifier(features, seeds, [0, 2], 1).log_probabilities()
    assert torch.allclose(scores.logsumexp(0), torch.zeros(12, 12).double(), atol=1e-9)
    assert (scores[0] > scores[1])[:4, :4].all()
    assert (scores[1] > scores[0])[8:, 8:].all()
    assert sum(float(scores[0].exp()[seeds == k].mean()) for k in (0, 2)) == pytest.approx(1, abs=1e-3)


def test_soft_labels_refit_the_classifier(generator):
    """The gradient of the loss, taken through the scores of all cells, vanishes at the fitted weights."""
    seeds = torch.full((12, 18), UNLABELLED)
    seeds[:4, :4], seeds[8:, 8:] = 0, 1
    features = [torch.randn(5, 12, 18, generator=generator), torch.randn(3, 5, 7, generator=generator)]
    fitted = fit_classifier(features, seeds, [0, 1], 1)
    cells = torch.arange(0, 216, 5)
    counts = torch.rand(len(cells), 2, generator=generator).double()
    for classifier, optimal in ((fitted, False), (fitted.refit(cells, counts), True)):
        classifier = replace(classifier, weights=classifier.weights.requires_grad_())
        scores = classifier.log_probabilities().flatten(1).T[cells]
        loss = -(counts * scores).sum() / counts.sum() + RIDGE / 2 * classifier.weights[:, :-1].square().sum()
        (slope,) = torch.autograd.grad(loss, classifier.weights)
        assert (slope.abs().max() < 1e-3) == optimal


def test_self_training_reaches_parts_without_a_stroke():
    """The photo does not show the disk; its features are two halves alike in one channel, of which one half has the stroke."""
    image, seeds, inside = disk()
    image = torch.full_like(image, 128.0)
    seeds[:, 32, 32:] = UNLABELLED
    left = inside & (torch.arange(64) < 32)
    maps = [torch.stack([inside.float(), 1.5 * left.float()])]
    energy = Energy(eta=0.3, lam=6.0, neighborhood=NearestNeighbors("auto", 8))
    model = fit_photo(image[0], seeds[0], maps)
    trained = self_train(model, image[0], seeds[0], energy, kernel="torch")
    right = inside & ~left
    before, after = (float(m.logits(image[0], 2).softmax(0)[1][right].mean()) for m in (model, trained))
    assert after > before + 0.02
    change = trained.classifier.log_probabilities() - model.classifier.log_probabilities()
    assert torch.allclose(trained.evidence - model.evidence, FEATURES * change)
    logits = mixture_logits(image, seeds, 2, energy=energy, features=lambda photo: maps, kernel="torch")
    assert torch.equal(logits[0], trained.logits(image[0], 2))
    assert self_train(model, image[0], seeds[0], replace(energy, eta=0.0)) is model
    assert self_train(fit_photo(image[0], seeds[0]), image[0], seeds[0], energy).classifier is None


def test_self_training_leaves_a_class_where_its_strokes_cover_it():
    """All of the disk is a stroke: what the solver leaves of its class on the ground does not count as much as a class."""
    image, seeds, inside = disk()
    seeds[0][inside] = 1
    model = fit_photo(image[0], seeds[0], [inside.float()[None]])
    energy = Energy(eta=0.3, lam=6.0, neighborhood=NearestNeighbors("auto", 8))
    trained = self_train(model, image[0], seeds[0], energy, kernel="torch")
    before, after = (m.classifier.log_probabilities()[1].exp()[~inside].mean() for m in (model, trained))
    assert after < before


def test_features_change_predictions():
    image, seeds, inside = disk()
    plain = mixture_logits(image, seeds, 2)
    maps = [torch.stack([inside.float(), 1 - inside.float()])]
    guided = mixture_logits(image, seeds, 2, features=lambda photo: maps)
    assert not torch.allclose(plain, guided)
    assert ((guided.argmax(1)[0] == 1) == inside).float().mean() >= ((plain.argmax(1)[0] == 1) == inside).float().mean()


def test_a_backbone_reads_files_and_names_what_it_cannot(tmp_path):
    from torchvision.models import mobilenet_v2

    torch.manual_seed(0)
    torch.save(mobilenet_v2(weights=None).state_dict(), tmp_path / "weights.pt")
    photo = 255 * torch.rand(3, 40, 60)
    maps = Backbone(tmp_path / "weights.pt")(photo)
    assert [x.shape[0] for x in maps] == [32, 96, 320]
    assert all(x.isfinite().all() for x in maps)
    mirrored = Backbone(tmp_path / "weights.pt")(photo.flip(2))  # a mirrored photo has the mirrored maps
    assert all(torch.allclose(x, y.flip(2), atol=1e-5) for x, y in zip(maps, mirrored, strict=True))
    assert not torch.allclose(maps[0], maps[0].flip(2), atol=1e-3)
    assert Backbone(tmp_path / "weights.pt").body is Backbone(str(tmp_path / "weights.pt")).body  # built once
    torch.manual_seed(1)
    torch.save(mobilenet_v2(weights=None).state_dict(), tmp_path / "weights.pt")
    assert not torch.equal(Backbone(tmp_path / "weights.pt")(photo)[0], maps[0])
    torch.save({"other.weight": torch.zeros(3)}, tmp_path / "other.pt")
    (tmp_path / "broken.pt").write_bytes(b"x")
    for source, error, words in (
        (tmp_path / "absent.pt", FileNotFoundError, "absent.pt"),
        (tmp_path / "other.pt", ValueError, "other.pt: expected weights of"),
        (tmp_path / "broken.pt", ValueError, "broken.pt: cannot be read"),
        ("no_such_network", ValueError, "expected a file of weights or a timm model"),
    ):
        with pytest.raises(error, match=words):
            Backbone(source)


def test_seeds_take_part_in_the_cells_colours():
    """Only padding is left out: a cell that a stroke fills has its photo's colour."""
    photo = torch.full((3, 8, 8), 200.0)
    seeds = torch.full((8, 8), UNLABELLED)
    seeds[:4, :4] = 1
    seeds[4:, 4:] = PADDING
    cells = cell_colours(photo, seeds, 4)
    light = cielab(photo)[:, :1, :1]
    assert torch.allclose(cells[:, :1, :1], light)
    assert torch.allclose(cells[:, 0, 1], light[:, 0, 0])


def test_only_rgb_is_modelled():
    for channels in (1, 2, 4):
        with pytest.raises(ValueError, match=f"image: expected the 3 channels of RGB, got {channels}"):
            mixture_logits(torch.zeros(1, channels, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long), 2)
