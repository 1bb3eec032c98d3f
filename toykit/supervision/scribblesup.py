"""ScribbleSup's annotation files (Lin et al., CVPR 2016; [28] in the paper): human scribbles on PASCAL VOC 2012.

One XML file an image:

    <annotation> <filename>ID.jpg</filename> <size> <width/> <height/> </size>
      <polygon> <tag>CLASS</tag> <point> <X/> <Y/> </point> ... </polygon> ...
    </annotation>

The published files hold repeated points and points outside of the image. Both are dropped.
"""

from pathlib import Path

from toykit.supervision.strokes import Scribbles, Stroke


def read_scribblesup(path: str | Path, classes: tuple[str, ...], width: float = 3) -> Scribbles:
    """The strokes of one file, drawn `width` pixels wide (the published conversion: 3).

    classes: names by id; a tag must be one of them. A polygon without a point inside of the image is left out.
    Raises: FileNotFoundError; ValueError, naming the file, if it is malformed, declares a document type or entities,
    lacks its size or holds an unknown tag.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import parse

    path = Path(path)
    try:
        root = parse(path, forbid_dtd=True).getroot()
        size = tuple(int(root.findtext(f"size/{side}")) for side in ("width", "height"))
        strokes = []
        for polygon in root.iter("polygon"):
            tag = (polygon.findtext("tag") or "").strip()
            if tag not in classes:
                raise ValueError(f"unknown tag {tag!r}, expected one of {', '.join(classes)}")
            points = [(float(p.findtext("X")), float(p.findtext("Y"))) for p in polygon.iter("point")]
            points = [(x, y) for x, y in points if 0 <= x < size[0] and 0 <= y < size[1]]
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
    if min(size) < 1:
        raise ValueError(f"{path}: expected a size of at least 1 x 1, got {size[0]} x {size[1]}")
    return Scribbles(path.stem, size, tuple(classes), tuple(strokes))
