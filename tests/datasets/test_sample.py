"""A sample as tensors, its accuracy, and the pictures that it is read from."""

import numpy as np
import pytest
import torch
from PIL import Image

from toykit.datasets import Sample, read_image


def test_sample_as_tensors_and_accuracy():
    seeds = np.array([[0, 255, 255, 255]], np.uint8)
    mask = np.array([[0, 1, 0, 255]], np.uint8)
    sample = Sample("x", np.zeros((1, 4, 3), np.uint8), seeds, ("a", "b"), mask)
    image, tensor = sample.tensors()
    assert image.shape == (1, 3, 1, 4)
    assert image.dtype == torch.float32
    assert tensor.dtype == torch.int64
    assert sample.seeded_share() == 0.25
    labels = torch.tensor([[[[1.0, 0.2, 0.3, 0.5]], [[0.0, 0.8, 0.7, 0.5]]]])
    assert sample.accuracy(labels) == 0.5  # the seed and the void pixel are not judged
    with pytest.raises(ValueError, match="x: no ground truth"):
        Sample("x", sample.image, seeds, ("a", "b")).accuracy(labels)


def test_sixteen_bits_are_scaled_and_ranges_unknown_refused(tmp_path):
    Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert read_image(tmp_path / "deep.png")[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ValueError, match=r"float\.tif: .* values of type float32 have no fixed range"):
        read_image(tmp_path / "float.tif")


def test_unreadable_pictures_are_named(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"photo\.jpg: cannot be read as a picture"):
        read_image(path)
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "absent.jpg")
