"""ScribbleSup's annotation files (Lin et al., CVPR 2016; [28] in the paper): human scribbles on PASCAL VOC 2012.

One XML file per image:

    <annotation> <filename>ID.jpg</filename> <size> <width/> <height/> </size>
      <polygon> <tag>CLASS</tag> <point> <X/> <Y/> </point> ... </polygon> ...
    </annotation>

The published files contain repeated points and points outside the image. Both are dropped.
"""

from pathlib import Path

from toykit.supervision.strokes import Scribbles, Stroke, check_pixels


def read_scribblesup(path: str | Path, classes: tuple[str, ...], width: float = 3) -> Scribbles:
    """Read the strokes of one XML file.

    Parameters
    ----------
    path : str or Path
        The XML file.
    classes : tuple of str
        Class names by id; each tag of the file must be one of them.
    width : float, default 3
        Width of the strokes in pixels. The published conversion to PNG uses 3.

    Returns
    -------
    Scribbles
        A polygon without a point inside the image is left out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is malformed, declares a document type or entities, has no size, or holds an unknown tag; names it.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import parse

    path = Path(path)
    try:
        root = parse(path, forbid_dtd=True).getroot()
        if root is None:
            raise ValueError("no root element")
        image_width, image_height = (int(root.findtext(f"size/{side}", "")) for side in ("width", "height"))
        strokes, places = [], []
        for polygon in root.iter("polygon"):
            tag = (polygon.findtext("tag") or "").strip()
            if tag not in classes:
                raise ValueError(f"unknown tag {tag!r}, expected one of {', '.join(classes)}")
            points = [(float(p.findtext("X", "")), float(p.findtext("Y", ""))) for p in polygon.iter("point")]
            places += points
            points = [(x, y) for x, y in points if 0 <= x < image_width and 0 <= y < image_height]
            points = [p for before, p in zip([None, *points], points, strict=False) if p != before]
            if points:
                strokes.append(Stroke(tag, float(width), tuple(points)))
    except FileNotFoundError:
        raise
    except DefusedXmlException as error:
        raise ValueError(f"{path}: declares a document type or entities, which is refused ({error})") from error
    except (ParseError, LookupError, TypeError, ValueError, OSError) as error:
        raise ValueError(
            f"{path}: not a ScribbleSup file ({error}); expected size/width, size/height and polygons of a tag and "
            "points X, Y"
        ) from error
    if min(image_width, image_height) < 1:
        raise ValueError(f"{path}: expected a size of at least 1 x 1, got {image_width} x {image_height}")
    check_pixels(path, places, (image_width, image_height))
    return Scribbles(path.stem, (image_width, image_height), tuple(classes), tuple(strokes))
