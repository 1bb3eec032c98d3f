"""Photos with more than 8 bits, other numbers of channels, transparency or several pages: read right, or refused by name."""

import struct
import sys
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps, UnidentifiedImageError

from toykit.datasets import read_image
from toykit.datasets.sample import picture_size


def write_png(path, values):
    """Write 16 bits per channel, which Pillow does not."""
    height, width = values.shape[:2]
    channels = 1 if values.ndim == 2 else values.shape[2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def ramp(bits, channels=3):
    shape = (6, 8, channels) if channels > 1 else (6, 8)
    return np.linspace(0, 2**bits - 1, int(np.prod(shape))).round().astype(np.uint16).reshape(shape)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_the_bits_that_a_photo_uses_are_scaled_to_8(tmp_path, bits, channels, suffix):
    path, values = tmp_path / f"photo.{suffix}", ramp(bits, channels)
    if (channels, suffix) == (3, "png"):
        pytest.importorskip("imagecodecs")
    if suffix == "png":
        write_png(path, values)
    else:
        tifffile.imwrite(path, values, photometric="rgb" if channels == 3 else "minisblack")
    expected = np.broadcast_to((values / (2**bits - 1) * 255).reshape(6, 8, -1), (6, 8, 3))
    read = read_image(path)
    assert read.dtype == np.uint8
    assert abs(read - expected).max() <= 0.5 + 1e-9
    assert (read.min(), read.max()) == (0, 255)
    assert picture_size(path) == (8, 6)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_transparency_has_the_bits_of_the_colours(tmp_path, bits, kind):
    colors, top = ramp(bits).astype(float), 2**bits - 1
    alpha = np.full((6, 8, 1), float(top))
    alpha[:3] = top // 2
    stored = (colors * alpha / top if kind == "assocalpha" else colors).round()
    values = np.concatenate([stored, alpha], 2).astype(np.uint16)
    tifffile.imwrite(tmp_path / "p.tif", values, photometric="rgb", extrasamples=[kind])
    expected = 255 * (colors / top * (alpha / top) + 1 - alpha / top)
    assert abs(read_image(tmp_path / "p.tif") - expected).max() <= 1


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_planes_and_inverted_grey(tmp_path, planar):
    values = ramp(16)
    stored = values if planar == "contig" else np.moveaxis(values, 2, 0)
    tifffile.imwrite(tmp_path / "p.tif", stored, photometric="rgb", planarconfig=planar)
    assert abs(read_image(tmp_path / "p.tif") - values / 257).max() <= 0.5
    tifffile.imwrite(tmp_path / "i.tif", values[..., 0], photometric="miniswhite")
    assert abs(read_image(tmp_path / "i.tif")[..., 1] - (255 - values[..., 0] / 257)).max() <= 0.5


def test_transparent_parts_are_white(tmp_path):
    pytest.importorskip("imagecodecs")
    rgba = np.zeros((4, 5, 4), np.uint8)
    rgba[..., 0], rgba[:, :2, 3], rgba[:, 2, 3] = 200, 255, 128
    Image.fromarray(rgba).save(tmp_path / "a.png")
    write_png(tmp_path / "deep.png", rgba.astype(np.uint16) * 257)
    for name in ("a.png", "deep.png"):
        read = read_image(tmp_path / name)
        assert read[0, 0].tolist() == [200, 0, 0]
        assert read[0, 4].tolist() == [255, 255, 255]
        assert abs(read[0, 2].astype(int) - [227, 127, 127]).max() <= 1
    grey = np.stack([np.full((4, 5), 60000), np.full((4, 5), 65535)], -1).astype(np.uint16)
    write_png(tmp_path / "la.png", grey)
    assert (read_image(tmp_path / "la.png") == round(60000 / 257)).all()


def test_other_colours(tmp_path):
    rgb = Image.new("RGB", (5, 4), (250, 10, 10))
    rgb.convert("CMYK").save(tmp_path / "c.jpg", quality=100, subsampling=0)
    assert abs(read_image(tmp_path / "c.jpg")[1, 1].astype(int) - [250, 10, 10]).max() < 8
    rgb.convert("P").save(tmp_path / "p.png")
    assert abs(read_image(tmp_path / "p.png")[1, 1].astype(int) - [250, 10, 10]).max() < 30
    Image.new("1", (5, 4), 1).save(tmp_path / "one.png")
    assert (read_image(tmp_path / "one.png") == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_photos_are_turned_upright_as_others(tmp_path, orientation):
    values = np.arange(24).reshape(4, 6).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(values).save(tmp_path / "deep.png", exif=exif)
    Image.fromarray(values.astype(np.uint8)).save(tmp_path / "flat.png", exif=exif)
    deep, flat = read_image(tmp_path / "deep.png"), read_image(tmp_path / "flat.png")
    assert np.array_equal(deep, flat)
    assert picture_size(tmp_path / "deep.png") == picture_size(tmp_path / "flat.png") == flat.shape[1::-1]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_tiffs_are_turned_upright_as_others(tmp_path, orientation):
    values = np.linspace(0, 255, 24).round().astype(np.uint8).reshape(4, 6)
    tag = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "flat.tif", values, photometric="minisblack", extratags=tag)
    deep = values.astype(np.uint16) * 257
    tifffile.imwrite(
        tmp_path / "deep.tif", np.stack([deep] * 3), photometric="rgb", planarconfig="separate", extratags=tag
    )
    opaque = np.stack([deep, np.full_like(deep, 65535)], -1)
    tifffile.imwrite(
        tmp_path / "only.tif",
        opaque,
        photometric="minisblack",
        extrasamples=["unassalpha"],
        planarconfig="contig",
        extratags=tag,
    )
    with pytest.raises(UnidentifiedImageError):
        Image.open(tmp_path / "only.tif")
    with (tmp_path / "flat.tif").open("rb") as opened, Image.open(opened) as file:
        expected = np.array(ImageOps.exif_transpose(file).convert("RGB"))
    for name in ("flat.tif", "deep.tif", "only.tif"):
        assert np.array_equal(read_image(tmp_path / name), expected)
        assert picture_size(tmp_path / name) == expected.shape[1::-1]


def test_a_tiff_that_only_tifffile_reads_has_the_same_limit_of_pixels(tmp_path, monkeypatch):
    path = tmp_path / "half.tif"
    tifffile.imwrite(path, np.zeros((20, 30), np.float16))  # Pillow does not identify it
    with pytest.raises(UnidentifiedImageError):
        Image.open(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 299)
    with pytest.raises(ValueError, match=r"half\.tif: .*30 x 20 pixels; expected at most 598"):
        read_image(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    with pytest.raises(ValueError, match="type float16"):
        read_image(path)


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        (np.zeros((4, 5, 3), np.float32), {"photometric": "rgb"}, "values of type float32 have no fixed range"),
        (np.zeros((4, 5, 6), np.uint8), {"photometric": "minisblack", "planarconfig": "contig"}, "it has 6 channels"),
        (np.zeros((3, 4, 5), np.uint16), {"photometric": "minisblack"}, "it holds 3 pictures"),
        (np.full((4, 5), 70000, np.uint32), {}, "have no fixed range"),
        (np.zeros((4, 5), np.complex64), {}, "values of type complex64"),
    ],
)
def test_others_are_refused_by_name(tmp_path, values, options, words):
    tifffile.imwrite(tmp_path / "photo.tif", values, **options)
    with pytest.raises(ValueError, match=rf"photo\.tif: cannot be read as a picture \(.*{words}"):
        read_image(tmp_path / "photo.tif")


def test_without_its_decoder_a_deep_png_is_refused(tmp_path, monkeypatch):
    write_png(tmp_path / "photo.png", ramp(12))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ValueError, match=r"photo\.png: .*16 bits per channel need imagecodecs"):
        read_image(tmp_path / "photo.png")


def test_animations_are_refused(tmp_path):
    frames = [Image.new("L", (5, 4), value) for value in (0, 100)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match=r"a\.gif: .*it holds 2 pictures"):
        read_image(tmp_path / "a.gif")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_fourth_channel_counts_only_if_it_is_transparency(tmp_path, dtype):
    most = np.iinfo(dtype).max
    values = np.full((6, 8, 4), most // 2, dtype)
    values[..., :3] //= np.array([1, 2, 4], dtype)
    path = tmp_path / "photo.tif"
    tifffile.imwrite(path, values, photometric="rgb", extrasamples=["unspecified"])  # infrared, say
    with pytest.raises(ValueError, match=r"photo\.tif: .*it has 4 channels, of which 1 are neither colours nor said"):
        read_image(path)
    tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig")
    with pytest.raises(ValueError, match=r"photo\.tif"):
        read_image(path)
    shown = {}
    for kind in ("unassalpha", "assocalpha"):
        tifffile.imwrite(path, values, photometric="rgb", extrasamples=[kind])
        shown[kind] = read_image(path)[0, 0].astype(int)
    assert np.abs(shown["unassalpha"] - (np.array([1, 0.5, 0.25]) * 63.75 + 127.5)).max() <= 2 or dtype == np.uint16
    # the colours of associated transparency are multiplied already: half of white shows through
    assert (shown["assocalpha"] >= shown["unassalpha"]).all()
    assert (shown["assocalpha"] > shown["unassalpha"]).any()
