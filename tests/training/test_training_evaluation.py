"""mIoU against an implementation by sets of pixels, with absent classes and void."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric

from toykit import PADDING, UNLABELLED
from toykit.datasets.sample import Sample
from toykit.simplex import most_likely
from toykit.training.evaluation import (
    accuracy,
    class_ious,
    confusion_matrix,
    evaluate,
    mean_iou,
    near_boundary,
)
from toykit.training.predict import predict


def iou_by_sets(images, num_classes):
    """The textbook's |A and B| / |A or B| over all images' pixels, in sets of coordinates."""
    ious = []
    for k in range(num_classes):
        predicted, true = set(), set()
        for number, (prediction, target) in enumerate(images):
            for place, (p, t) in enumerate(zip(prediction, target, strict=True)):
                if t < num_classes:
                    predicted |= {(number, place)} if p == k else set()
                    true |= {(number, place)} if t == k else set()
        ious.append(len(predicted & true) / len(predicted | true) if predicted | true else math.nan)
    return ious


@st.composite
def label_maps(draw):
    num_classes = draw(st.integers(2, 6))
    present = draw(st.lists(st.integers(0, num_classes - 1), min_size=1, max_size=num_classes))  # others are absent
    targets = st.sampled_from([*present, UNLABELLED, PADDING])
    image = st.lists(st.tuples(st.sampled_from(present), targets), min_size=1, max_size=12)
    return num_classes, [tuple(zip(*pixels, strict=True)) for pixels in draw(st.lists(image, min_size=1, max_size=4))]


@given(label_maps())
def test_miou_is_that_of_sets(case):
    num_classes, images = case
    matrices = [confusion_matrix(torch.tensor(p), torch.tensor(t), num_classes) for p, t in images]
    confusion = sum(matrices)
    assert confusion.dtype == torch.int64
    expected = iou_by_sets(images, num_classes)
    assert class_ious(confusion).tolist() == pytest.approx(expected, nan_ok=True, abs=1e-12)
    occurring = [iou for iou in expected if not math.isnan(iou)]
    mean = sum(occurring) / len(occurring) if occurring else math.nan
    assert mean_iou(confusion) == pytest.approx(mean, nan_ok=True, abs=1e-12)


@pytest.mark.parametrize("num_classes", [2, 180, 181, 254])
def test_pixels_are_counted_for_any_number_of_classes(num_classes):
    """The pairs of 180 classes fit 16 bits, those of 181 do not."""
    last = num_classes - 1
    prediction, target = torch.tensor([last, 0, last, 255]), torch.tensor([last, last, 0, UNLABELLED])
    for dtype in (torch.uint8, torch.int64):
        confusion = confusion_matrix(prediction.to(dtype), target.to(dtype), num_classes)
        assert confusion[last, last] == confusion[last, 0] == confusion[0, last] == 1
        assert confusion.sum() == 3


def test_a_class_only_predicted_counts_as_zero_and_an_absent_one_not_at_all():
    confusion = confusion_matrix(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 0, 0, 255]), 4)
    assert class_ious(confusion).tolist() == pytest.approx([2 / 3, 0, math.nan, math.nan], nan_ok=True)
    assert mean_iou(confusion) == pytest.approx(1 / 3)


class Brightness(torch.nn.Module):
    """Two classes: dark and bright."""

    def forward(self, image):
        assert not self.training
        return torch.stack([255 - image.mean(1), image.mean(1)], 1)


def samples(masks=True):
    g = torch.Generator().manual_seed(0)
    for size in ((4, 5), (7, 3), (2, 2)):
        image = torch.randint(0, 256, (*size, 3), generator=g, dtype=torch.uint8).numpy()
        mask = torch.randint(0, 2, size, generator=g, dtype=torch.uint8).numpy()
        mask[0, 0] = UNLABELLED
        yield Sample(f"{size}", image, mask, ("dark", "bright"), mask if masks else None)


def test_evaluation_counts_each_pixel_once_at_its_own_resolution():
    fabric, network, photos = Fabric(accelerator="cpu", devices=1), Brightness().train(), list(samples())
    confusion = evaluate(fabric, network, photos, 2).sum(0)
    assert network.training
    images = [((s.image.mean(2) > 127.5).ravel().tolist(), s.mask.ravel().tolist()) for s in photos]
    assert confusion.sum() == 4 * 5 + 7 * 3 + 2 * 2 - 3
    assert class_ious(confusion).tolist() == pytest.approx(iou_by_sets(images, 2))
    with pytest.raises(ValueError, match="no mask to evaluate against"):
        evaluate(fabric, network, list(samples(masks=False)), 2)


@pytest.mark.parametrize("scale", [1.0, 0.5, 2.0])
def test_a_photo_is_judged_at_its_own_size_whatever_the_network_sees(scale):
    seen = []

    class Sizes(Brightness):
        def forward(self, image):
            seen.append(tuple(image.shape[-2:]))
            return super().forward(image)

    network = Sizes().train()
    image = torch.zeros(1, 3, 8, 12)
    image[..., 6:] = 255
    logits = predict(network, image, scale)
    assert seen == [(8 * scale, 12 * scale)]
    assert logits.shape == (1, 2, 8, 12)
    assert torch.equal(logits.argmax(1)[0], (image[0, 0] > 0).long())
    assert network.training
    image = next(iter(samples()))
    counts = evaluate(Fabric(accelerator="cpu", devices=1), network, [image], 2, scale=scale)
    assert counts.sum() == 19
    assert counts.shape == (2, 2, 2)
    assert seen[-1] == (4 * scale, round(5 * scale))


def test_pixels_near_a_boundary_by_brute_force():
    g = torch.Generator().manual_seed(0)
    mask = torch.zeros(14, 17, dtype=torch.int64)
    mask[:, 8:] = 1
    mask[10:, 14:] = 255
    mask[3, 3] = torch.randint(1, 2, (), generator=g)
    edges = [
        (r, c)
        for r in range(14)
        for c in range(17)
        for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0))
        if 0 <= r + dr < 14 and 0 <= c + dc < 17 and mask[r, c] != mask[r + dr, c + dc]
    ]
    for width in (1, 3):
        near = near_boundary(mask, width)
        for r in range(14):
            for c in range(17):
                assert near[r, c] == any((r - a) ** 2 + (c - b) ** 2 <= width**2 for a, b in edges)
    assert not near_boundary(torch.zeros(5, 5, dtype=torch.int64)).any()


def test_inside_and_boundary_are_counted_apart():
    mask = np.zeros((8, 40), np.uint8)
    mask[:, 20:] = 1
    image = np.zeros((8, 40, 3), np.uint8)
    image[:, 23:] = 255  # three columns of the boundary are wrong
    sample = Sample("halves", image, mask, ("dark", "bright"), mask)
    inside, near = evaluate(Fabric(accelerator="cpu", devices=1), Brightness(), [sample], 2)
    assert near.sum() == 8 * 12  # five columns beyond the two that touch
    assert accuracy(inside) == 1
    assert accuracy(near) == pytest.approx(9 / 12)
    assert accuracy(inside + near) == pytest.approx(37 / 40)


def test_the_most_likely_class_is_argmaxs():
    g = torch.Generator().manual_seed(0)
    for classes in (2, 5, 21):
        scores = torch.randint(0, 6, (classes, 9, 11), generator=g).float()  # many ties
        assert torch.equal(most_likely(scores), scores.argmax(0))
