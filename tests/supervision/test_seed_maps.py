"""Seed maps in indexed PNG files: written, read, and refused with the file's name where they are faulty."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from toykit._shared.palette import voc_palette
from toykit.datasets import read_image
from toykit.supervision import Scribbles, Stroke, read_seeds, write_scribbles, write_seeds
from toykit.supervision.indexed_png import read_indexed_png
from toykit.supervision.seed_maps import inspect_seeds


def test_indexed_png_round_trip(tmp_path):
    seeds = np.full((6, 9), 255, np.uint8)
    seeds[1, 2], seeds[3, 4], seeds[5] = 3, 0, 254
    write_seeds(tmp_path / "new" / "seeds.png", seeds)
    back, classes = read_seeds(tmp_path / "new" / "seeds.png", (9, 6))
    assert np.array_equal(back, seeds)
    assert classes == ("class 0", "class 1", "class 2", "class 3")
    with Image.open(tmp_path / "new" / "seeds.png") as file:
        assert file.mode == "P"
        assert np.allclose(np.array(file.convert("RGB"))[1, 2] / 255, voc_palette(4)[3], atol=1 / 255)


def test_a_truncated_png_is_named(tmp_path):
    path = tmp_path / "seeds.png"
    write_seeds(path, np.random.default_rng(0).integers(0, 3, (60, 60)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"seeds\.png: cannot be read"):
        read_seeds(path, (60, 60))


def test_a_png_whose_end_is_zeros_is_named(tmp_path):
    """An interrupted copy leaves zeros, which the decoder takes for class 0."""
    path, rng = tmp_path / "seeds.png", np.random.default_rng(1)
    seeds = np.full((480, 640), 255, np.uint8)
    for k in range(60):
        row, column = rng.integers(0, 470), rng.integers(0, 600)
        seeds[row : row + 3, column : column + 40] = k % 2
    write_seeds(path, seeds)
    content = path.read_bytes()
    for share in (0.4, 0.6, 0.8, 0.95):
        kept = int(share * len(content))
        path.write_bytes(content[:kept] + bytes(len(content) - kept))
        with pytest.raises(ValueError, match=r"seeds\.png: cannot be read"):
            read_seeds(path, (640, 480))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_map_is_turned_upright_as_its_photo(tmp_path, orientation):
    """Some tools turn all files of a folder by their EXIF tag alone."""
    ids, exif = np.full((24, 36), 255, np.uint8), Image.Exif()
    ids[:6, :10], ids[15:, 8:30] = 0, 1
    exif[274] = orientation
    Image.fromarray(ids).save(tmp_path / "s.png", exif=exif)
    Image.fromarray(np.stack([ids] * 3, 2)).save(tmp_path / "p.png", exif=exif)
    assert np.array_equal(read_indexed_png(tmp_path / "s.png"), read_image(tmp_path / "p.png")[..., 0])
    size = (24, 36) if orientation > 4 else (36, 24)
    notes = inspect_seeds(tmp_path / "s.png", size).notes
    assert any("the map was turned upright according to its EXIF orientation" in note for note in notes) == (
        orientation > 1
    )


def test_an_exif_that_cannot_be_read_does_not_matter(tmp_path):
    ids, path = np.arange(54, dtype=np.uint8).reshape(6, 9), tmp_path / "s.png"
    Image.fromarray(ids).save(path, exif=b"garbage of some kind")
    assert np.array_equal(read_indexed_png(path), ids)
    exif, rng = Image.Exif(), np.random.default_rng(0)
    exif[274], exif[271], exif[282] = 3, "maker", 72.5
    content = np.frombuffer(exif.tobytes(), np.uint8)
    for _ in range(300):
        damaged = content.copy()
        damaged[rng.integers(8, len(damaged), 2)] = rng.integers(0, 256, 2)
        Image.fromarray(ids).save(path, exif=damaged.tobytes())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # Pillow's
            assert np.array_equal(np.sort(read_indexed_png(path), None), np.arange(54))


def test_a_png_without_pixels_is_named(tmp_path):
    path = tmp_path / "s.png"
    write_seeds(path, np.zeros((6, 9), np.uint8))
    content = path.read_bytes()
    start, end = content.index(b"IDAT") - 4, content.index(b"IEND") - 4
    path.write_bytes(content[:start] + content[end:])
    with pytest.raises(ValueError, match=r"s\.png: cannot be read as a PNG \(it holds no pixels"):
        read_indexed_png(path)


def test_broken_and_missing_pngs_are_named(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"broken\.png: cannot be read"):
        read_seeds(broken, (5, 5))
    with pytest.raises(FileNotFoundError):
        read_seeds(tmp_path / "absent.png", (5, 5))


def test_colours_and_wrong_sizes_are_refused(tmp_path):
    Image.new("RGB", (9, 6)).save(tmp_path / "colours.png")
    with pytest.raises(ValueError, match=r"colours\.png: expected an indexed PNG .* got mode RGB"):
        read_seeds(tmp_path / "colours.png", (9, 6))
    write_seeds(tmp_path / "seeds.png", np.zeros((6, 9), np.uint8))
    with pytest.raises(ValueError, match=r"the seeds are 9 x 6 pixels, the photo 10 x 6"):
        read_seeds(tmp_path / "seeds.png", (10, 6))


def test_pictures_that_are_not_maps_of_ids_are_named(tmp_path, monkeypatch):
    path = tmp_path / "seeds.png"
    grey = Image.new("L", (9, 6))
    for picture, options, message in (
        (grey, {"format": "JPEG"}, "cannot be read as a PNG"),
        (Image.new("1", (9, 6)), {}, "got mode 1; save it with 8 bits"),
        (Image.fromarray(np.zeros((6, 9), np.uint16)), {}, "got mode I;16; save it with 8 bits"),
    ):
        picture.save(path, **options)
        with pytest.raises(ValueError, match=rf"seeds\.png: .*{message}"):
            read_seeds(path, (9, 6))
    grey.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:8] + b"\0\0\0\5" + whole[12:])  # the header declares a length shorter than any header
    with pytest.raises(ValueError, match=r"seeds\.png: cannot be read as a PNG"):
        read_seeds(path, (9, 6))
    path.write_bytes(whole)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(ValueError, match=r"seeds\.png: cannot be read as a PNG .*decompression bomb"):
        read_seeds(path, (9, 6))


def test_a_map_of_another_size_is_scaled_by_nearest_neighbour(tmp_path):
    rng = np.random.default_rng(0)
    small = rng.choice([0, 1, 255], (12, 16)).astype(np.uint8)
    write_seeds(tmp_path / "seeds.png", small)
    read = inspect_seeds(tmp_path / "seeds.png", (40, 30))
    rows, columns = ((np.arange(n) + 0.5) * 0.4 for n in (30, 40))  # the small map's pixel at each centre
    assert np.array_equal(read.seeds, small[rows.astype(int)[:, None], columns.astype(int)])
    assert (
        "seeds.png: the map of 16 x 12 pixels was scaled to the photo's 40 x 30 by nearest neighbour" in read.notes[0]
    )
    small[small == 1] = 255
    small[0, 0] = 1
    write_seeds(tmp_path / "seeds.png", small)
    assert any("ids 1 have no pixel left" in note for note in inspect_seeds(tmp_path / "seeds.png", (4, 3)).notes)
    for size in ((17, 13), (15, 12), (40, 40)):
        with pytest.raises(ValueError, match=r"seeds\.png: the seeds are 16 x 12 pixels, the photo .* at its own size"):
            inspect_seeds(tmp_path / "seeds.png", size)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_strokes_with_a_byte_order_mark_are_read(tmp_path, encoding):
    scribbles = Scribbles("x", (9, 6), ("früh", "spät"), (Stroke("früh", 1, ((2, 2),)), Stroke("spät", 1, ((5, 5),))))
    write_scribbles(tmp_path / "s.JSON", scribbles)
    text = (tmp_path / "s.JSON").read_text(encoding="utf-8")
    (tmp_path / "s.JSON").write_text(text.replace(", ", ",\r\n"), encoding=encoding)
    seeds, classes = read_seeds(tmp_path / "s.JSON", (9, 6))
    assert classes == ("früh", "spät")
    assert (seeds[2, 2], seeds[5, 5]) == (0, 1)


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_values_of_few_bits_are_ids(tmp_path, bits):
    """Pillow stretches them to 0..255."""
    ids = np.arange(2**bits, dtype=np.uint8)
    packed = np.packbits(np.unpackbits(ids[:, None], axis=1)[:, -bits:].ravel())
    header = struct.pack(">IIBBBBB", len(ids), 1, bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" + packed.tobytes())), (b"IEND", b""))
    (tmp_path / "s.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    )
    assert read_indexed_png(tmp_path / "s.png")[0].tolist() == ids.tolist()
