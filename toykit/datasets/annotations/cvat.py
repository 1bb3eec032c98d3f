"""CVAT's annotations: "CVAT for images" (annotations.xml) and "Segmentation mask" (labelmap.txt, SegmentationClass/*.png)."""

from pathlib import Path

import numpy as np

from toykit.conventions import UNLABELLED
from toykit.datasets.annotations.shapes import MOST_BYTES, Annotated, Shape, from_runs, photo_size, rectangle, ring
from toykit.datasets.layout import read_lines
from toykit.datasets.sample import read_image


def read_cvat_xml(path: Path) -> tuple[list[Annotated], list[str]]:
    """Read the XML of "CVAT for images 1.1".

    Parameters
    ----------
    path : Path

    Returns
    -------
    photos : list of Annotated
    classes : list of str
        The project's labels in their order; empty if the file does not list them.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is too large, malformed, or declares a document type or entities; names the file and the photo.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import parse

    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path}: {path.stat().st_size} bytes; expected at most {MOST_BYTES}")
    photos, name = [], ""
    try:
        root = parse(path, forbid_dtd=True).getroot()
        if root is None or root.tag != "annotations":
            raise ValueError("expected CVAT's <annotations>")
        for image in root.iter("image"):
            name = image.get("name", "")
            size = photo_size(image.get("width"), image.get("height"))
            parts = sorted(image, key=lambda part: int(part.get("z_order", "0")))  # stable: else in the file's order
            shapes = [_xml_shape(part, size) for part in parts if part.tag != "tag"]
            photos.append(Annotated(name, size, tuple(shapes)))
        if not photos and root.find("track") is not None:
            raise ValueError("holds the tracks of a video; export it as CVAT for images")
        labels = [(label.findtext("name") or "").strip() for label in root.findall("meta//labels/label")]
    except DefusedXmlException as error:
        raise ValueError(f"{path}: declares a document type or entities, which is refused ({error})") from error
    except (ParseError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path}: {name or 'not CVAT for images'} ({type(error).__name__}: {error})") from error
    return photos, [label for label in labels if label]


def _xml_shape(part, size: tuple[int, int]) -> Shape:
    """Return one of CVAT's shapes."""
    label, kind = part.get("label") or "", part.tag
    if float(part.get("rotation", "0")) % 360:
        raise ValueError(
            f"a {kind} turned by {part.get('rotation')} degrees, which is not supported; draw it as a polygon"
        )
    if not label:
        raise ValueError(f"a {kind} without a label")
    if kind in ("polygon", "polyline", "points"):
        points = ring([[float(value) for value in pair.split(",")] for pair in part.get("points", "").split(";")])
        if kind == "polygon":
            return Shape(label, (points,))
        return Shape(label, (points,) if kind == "polyline" else tuple(point[None] for point in points), closed=False)
    if kind == "box":
        return Shape(label, (rectangle(*(float(part.get(side, "")) for side in ("xtl", "ytl", "xbr", "ybr"))),))
    if kind == "mask":
        left, top, width, height = (int(part.get(side, "")) for side in ("left", "top", "width", "height"))
        if not (0 < width <= size[0] and 0 < height <= size[1]):
            raise ValueError(f"a mask of {width} x {height} pixels on a photo of {size[0]} x {size[1]}")
        runs = [int(run) for run in part.get("rle", "").split(",")]
        return Shape(label, mask=from_runs(runs, height, width), corner=(left, top))
    raise ValueError(f"a shape {kind!r}, which is not supported")


def read_label_map(path: Path) -> dict[str, tuple[int, int, int]]:
    """Read CVAT's labelmap.txt: one "name:red,green,blue::" per line.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict from str to (int, int, int)
        Label -> colour, in the file's order.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For a malformed line; names the file and the line.
    """
    colors = {}
    for text in read_lines(path, "labels"):
        if text.startswith("#"):
            continue
        try:
            name, color = text.split(":")[:2]
            red, green, blue = (int(value) for value in color.split(","))
        except ValueError as error:
            raise ValueError(f'{path}: expected "name:red,green,blue::", got {text!r}') from error
        if colors.get(name, (red, green, blue)) != (red, green, blue):
            raise ValueError(f"{path}: lists {name} twice, with different colours")
        colors[name] = (red, green, blue)
    return colors


def read_color_mask(path: Path, colors: dict[str, tuple[int, int, int]], classes: list[str]) -> np.ndarray:
    """Read one of CVAT's coloured masks as a map of seeds.

    Parameters
    ----------
    path : Path
    colors : dict from str to (int, int, int)
        From `read_label_map`.
    classes : list of str
        Class names by id. The pixels of labels that are no class are unlabelled.

    Returns
    -------
    ndarray, shape (H, W), uint8

    Raises
    ------
    FileNotFoundError, ValueError
        If the file cannot be read, or holds a colour that is no label's; names it.
    """
    codes = read_image(path).astype(np.int64) @ (1 << 16, 1 << 8, 1)
    seeds, known = np.full(codes.shape, UNLABELLED, np.uint8), np.zeros(codes.shape, bool)
    for name, color in colors.items():
        here = codes == color[0] << 16 | color[1] << 8 | color[2]
        number = classes.index(name) if name in classes else UNLABELLED
        if (seeds[here & known] != number).any():
            raise ValueError(f"{path}: labelmap.txt gives the colour {color} to {name} and to another label")
        known |= here
        seeds[here] = number
    if not known.all():
        code = int(codes[~known][0])
        raise ValueError(
            f"{path}: {int((~known).sum())} pixels have a colour that labelmap.txt does not list, the first "
            f"({code >> 16}, {code >> 8 & 255}, {code & 255}); was the mask resized or saved as JPEG?"
        )
    return seeds
