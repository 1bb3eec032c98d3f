"""Invalid inputs are refused with what was received and what was expected."""

import math

import pytest
import torch

from toykit import PADDING, UNLABELLED
from toykit.conventions import check_image, check_inputs, check_logits, check_seeds


def inputs():
    return torch.zeros(1, 3, 2, 4), torch.full((1, 3, 2, 4), 100.0), torch.full((1, 2, 4), UNLABELLED)


def test_the_reserved_values():
    assert (PADDING, UNLABELLED) == (254, 255)


@pytest.mark.parametrize(
    ("given", "floating"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_dtypes_are_converted_to_those_of_the_terms(given, floating):
    logits, image, seeds = inputs()
    for image_dtype in (torch.uint8, torch.int32, torch.float16, torch.float64):
        for seeds_dtype in (torch.uint8, torch.int16, torch.uint16, torch.int64):
            out = check_inputs(logits.to(given), image.to(image_dtype), seeds.to(seeds_dtype))
            assert [x.dtype for x in out] == [floating, floating, torch.int64]
            assert torch.equal(out[1], image.to(floating))
            assert torch.equal(out[2], seeds)


def test_class_254_is_reserved():
    check_logits(torch.zeros(1, 254, 1, 1))  # ids 0..253
    for classes in (1, 255, 256):
        with pytest.raises(ValueError, match=rf"logits: expected 2 to 254 classes on dim=1, got shape \(1, {classes},"):
            check_logits(torch.zeros(1, classes, 1, 1))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ([[1.0]], TypeError, r"logits: expected a torch.Tensor \(B, K, H, W\), got list; use torch.as_tensor"),
        (torch.zeros(3, 2, 4), ValueError, r"logits: expected \(B, K, H, W\), got shape \(3, 2, 4\)"),
        (torch.zeros(0, 3, 2, 4), ValueError, r"logits: expected at least one image, .* got shape \(0, 3, 2, 4\)"),
        (torch.zeros(1, 3, 2, 4).long(), TypeError, r"logits: expected a floating dtype, got torch.int64; call .float"),
        (torch.full((1, 3, 2, 4), math.nan), ValueError, r"logits: 24 values are NaN or infinite, the first at \(0,"),
        (torch.full((1, 3, 2, 4), -math.inf), ValueError, r"logits: 24 values .*\(-inf\)"),
        (torch.zeros(1, 3, 2, 5), ValueError, r"logits of shape \(1, 3, 2, 5\) need image \(1, C, 2, 5\) .*; got"),
        (torch.zeros(2, 3, 2, 4), ValueError, r"need image \(2, C, 2, 4\) and seeds \(2, 2, 4\); got image \(1, 3,"),
    ],
)
def test_wrong_logits(wrong, error, message):
    _, image, seeds = inputs()
    with pytest.raises(error, match=message):
        check_inputs(wrong, image, seeds)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (None, TypeError, r"image: expected a torch.Tensor \(B, C, H, W\), got NoneType"),
        (torch.zeros(3, 2, 4), ValueError, r"image: expected \(B, C, H, W\), got shape \(3, 2, 4\)"),
        (
            torch.zeros(1, 2, 4, 3),
            ValueError,
            r"got image \(1, 2, 4, 3\) \(channels are dim=1; call .movedim\(-1, 1\)\)",
        ),
        (torch.zeros(1, 3, 0, 4), ValueError, r"image: expected at least one image, class and pixel"),
        (torch.zeros(1, 3, 2, 4).bool(), TypeError, r"image: expected numbers in 0..255, got torch.bool"),
        (torch.zeros(1, 3, 2, 4).cfloat(), TypeError, r"image: expected numbers in 0..255, got torch.complex64"),
        (torch.full((1, 3, 2, 4), math.inf), ValueError, r"image: 24 values are NaN or infinite"),
        (
            torch.full((1, 3, 2, 4), -2.0),
            ValueError,
            r"image: expected channels in 0..255, got -2..-2; .*normalisation",
        ),
        (torch.full((1, 3, 2, 4), 300.0), ValueError, r"image: expected channels in 0..255, got 300..300"),
        (torch.zeros(1, 3, 4, 2), ValueError, r"need image \(1, C, 2, 4\) .* got image \(1, 3, 4, 2\)"),
    ],
)
def test_wrong_image(wrong, error, message):
    logits, _, seeds = inputs()
    with pytest.raises(error, match=message):
        check_inputs(logits, wrong, seeds)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (7, TypeError, r"seeds: expected a torch.Tensor \(B, H, W\), got int"),
        (torch.zeros(1, 1, 2, 4).long(), ValueError, r"seeds: expected \(B, H, W\), got shape \(1, 1, 2, 4\)"),
        (torch.zeros(1, 2, 4), TypeError, r"seeds: expected integers \(int64\), got torch.float32; call .long"),
        (torch.zeros(1, 2, 4).bool(), TypeError, r"seeds: expected integers \(int64\), got torch.bool"),
        (torch.full((1, 2, 4), 3), ValueError, r"seeds: expected a class in 0..2, 255 .*254 .*; got \[3\] at 8 pixels"),
        (torch.full((1, 2, 4), -1), ValueError, r"got \[-1\] at 8 pixels"),
        (torch.arange(10, 30).view(1, 2, 10), ValueError, r"got \[10, 11, 12, 13, 14, 15, 16, 17\] ... at 20 pixels"),
        (torch.zeros(1, 4, 2).long(), ValueError, r"seeds \(1, 2, 4\); got image .* and seeds \(1, 4, 2\)"),
    ],
)
def test_wrong_seeds(wrong, error, message):
    logits, image, _ = inputs()
    with pytest.raises(error, match=message):
        check_inputs(logits, image, wrong)


def test_the_position_of_the_first_bad_value():
    image = torch.zeros(2, 3, 2, 2)
    image[1, 2, 0, 1] = math.nan
    with pytest.raises(ValueError, match=r"image: 1 values are NaN or infinite, the first at \(1, 2, 0, 1\) \(nan\)"):
        check_image(image)


def test_seeds_in_range_pass():
    seeds = torch.tensor([[[0, 1, 2, 254, 255]]])
    assert torch.equal(check_seeds(seeds, 3), seeds)
    with pytest.raises(ValueError, match=r"0..1, .* got \[2\] at 1 pixels"):
        check_seeds(seeds, 2)


def test_seeds_are_checked_alike_in_bytes_and_in_wider_integers():
    in_bytes = torch.tensor([[[0, 2, 3, 253, 254, 255]]], dtype=torch.uint8)
    for seeds in (in_bytes, in_bytes.long(), in_bytes.short()):
        with pytest.raises(ValueError, match=r"got \[3, 253\] at 2 pixels"):
            check_seeds(seeds, 3)
    with pytest.raises(ValueError, match=r"got \[-1, 256\] at 2 pixels"):
        check_seeds(torch.tensor([[[-1, 0, 256]]]), 3)
    assert check_seeds(in_bytes, 254).dtype == torch.uint8


def test_an_image_in_0_to_1_warns():
    with pytest.warns(UserWarning, match=r"image: all values lie in 0..1. Affinities expect 0..255: multiply by 255"):
        check_image(torch.linspace(0, 1, 12).view(1, 3, 2, 2))
    # a black image, a byte image and slight overshoot by interpolation are fine: warnings are errors here
    check_image(torch.zeros(1, 3, 2, 2))
    check_image(torch.tensor([0, 1, 1]).view(1, 3, 1, 1).to(torch.uint8))
    check_image(torch.tensor([-0.4, 100, 255.4]).view(1, 3, 1, 1))
