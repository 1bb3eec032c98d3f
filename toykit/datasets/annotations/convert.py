"""Convert the annotations of other tools to a folder that `toykit train` (data.kind=folder) and `toykit segment` read.

The folder gets scribbles/ID.png, class ids with 255 = unlabelled, and classes.txt; after an error it is as it was. ID is the
photo's file name without folders and suffix. What the tools mean by pixels without a shape differs: in a set that was annotated
completely they are background, in others nobody looked at them. So they stay unlabelled, unless the caller names a background.
"""

import filecmp
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from toykit._shared.arguments import check_number
from toykit._shared.files import check_writable, nearest_folder, write_text
from toykit.conventions import PADDING, UNLABELLED
from toykit.datasets.annotations.cvat import read_color_mask, read_cvat_xml, read_label_map
from toykit.datasets.annotations.json_files import read_coco, read_json, read_labelme
from toykit.datasets.annotations.shapes import Annotated, add_background, draw_shapes
from toykit.datasets.layout import PICTURES, files_by_name, name_key, read_lines
from toykit.supervision import write_seeds

#: What tools call pixels that belong to no object.
BACKGROUNDS = ("background", "_background_", "__background__")
EXPECTED = (
    "expected Labelme's JSON (a file, or a folder of them), COCO's JSON, CVAT's annotations.xml, or the folder of CVAT's "
    '"Segmentation mask" (labelmap.txt and SegmentationClass/)'
)


def convert(
    source: str | Path,
    folder: str | Path,
    background: str | None = None,
    margin: float = 5,
    photos: str | Path | None = None,
) -> tuple[int, tuple[str, ...], list[str]]:
    """Convert annotations to seeds.

    Parameters
    ----------
    source : str or Path
        Labelme's JSON of one photo or a folder of them, COCO's JSON, CVAT's XML, or the folder of CVAT's masks.
    folder : str or Path
        The folder to write; its scribbles/ must be empty or missing, and its classes.txt, if there is one, lists these classes.
    background : str, optional
        Name of a class for the pixels farther than `margin` from all shapes. Default: they stay unlabelled.
    margin : float, default 5
        Pixels around shapes that stay unlabelled, for the solver to decide.
    photos : str or Path, optional
        Folder whose photos are copied to images/. Default: none is copied.

    Returns
    -------
    count : int
        Number of seed maps.
    classes : tuple of str
        Class names by id.
    notes : list of str
        What was left out.

    Raises
    ------
    FileNotFoundError
        If a file is missing; names it.
    ValueError
        For annotations that cannot be read, two photos of one name, fewer than two or more than 254 classes, and for files of
        the folder that would be replaced by others. The folder is then as it was.
    """
    source, folder = Path(source), Path(folder)
    check_number("margin", margin, "[0, inf)")
    check_writable(folder)
    scribbles = folder / "scribbles"
    if scribbles.exists() and any(scribbles.iterdir()):
        raise ValueError(f"{scribbles}: is not empty; give a new folder")
    maps, classes = _read(source, background)
    _check_classes(folder / "classes.txt", classes, source)
    available = files_by_name(Path(photos), PICTURES) if photos is not None else {}
    written, notes, empty, lost, bare = {}, [], 0, [], []
    with tempfile.TemporaryDirectory(dir=nearest_folder(folder), prefix=".toykit-convert.") as temporary:
        new = Path(temporary) / "set"
        for name, seeds, without_pixels in maps:
            key = name_key(PurePosixPath(name.replace("\\", "/")).stem)
            if not _names_a_file(key):
                raise ValueError(f"{source}: the photo {name[:60]!r} has no name that a file can have; rename it")
            if key.casefold() in written:  # some disks ignore case
                other = written[key.casefold()]
                called = key if key == other else f"{key} and {other}"
                raise ValueError(f"{source}: two photos are called {called}; rename one")
            lost += [f"{label} in {key}" for label in without_pixels]
            if (seeds == UNLABELLED).all():
                empty += 1
                continue
            written[key.casefold()] = key
            if background is not None:
                add_background(seeds, classes.index(background), margin)
                bare += [] if (seeds == classes.index(background)).any() else [key]
            write_seeds(new / "scribbles" / f"{key}.png", seeds)
        if not written:
            raise ValueError(f"{source}: holds no shape{' that has a pixel' if lost else ''}; {EXPECTED}")
        copied = {key: available[key] for key in written.values() if key in available}
        _copy_photos(copied, new / "images", folder / "images")
        write_text(new / "classes.txt", "".join(f"{name}\n" for name in classes))
        _move(new, folder)
    if empty:
        notes.append(f"{empty} photos have no pixel of a shape and were left out")
    if lost:
        notes.append(f"{len(lost)} shapes lie outside of their photo or hold no pixel's centre: {_some(lost)}")
    if bare:
        notes.append(
            f"all pixels are on a shape or within {margin:g} pixels of one, so none is {background}, in {_some(bare)}"
        )
    if photos is not None and len(copied) < len(written):
        notes.append(f"{len(written) - len(copied)} photos are not in {photos}")
    return len(written), tuple(classes), notes


def _some(names: list[str]) -> str:
    """List the first of some names."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _check_classes(path: Path, classes: list[str], source: Path) -> None:
    """Raise ValueError if a list of classes exists and differs."""
    old = read_lines(path, "names") if path.exists() else classes
    if old != classes:
        raise ValueError(
            f"{path}: lists {', '.join(old)}; the classes of {source} are {', '.join(classes)}, so the ids "
            "would mean other classes; give a new folder, or rename the labels"
        )


def _copy_photos(photos: dict[str, Path], new: Path, old: Path) -> None:
    """Copy photos, by id, to a new folder, except those that an old one has; raise ValueError if that has another of an id."""
    there = files_by_name(old, PICTURES)
    for key, photo in photos.items():
        name = f"{key}{photo.suffix}"
        if key not in there:
            new.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo, new / name)
        elif not filecmp.cmp(photo, there[key], shallow=False):
            raise ValueError(
                f"{there[key]}: differs from {photo}, which would be its photo; give a new folder, or remove one"
            )


def _move(new: Path, folder: Path) -> None:
    """Move the files of a new folder to their final one; all files at once if that does not exist."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        new.rename(folder)
        return
    for path in sorted((path for path in new.rglob("*") if path.is_file()), reverse=True):  # classes.txt last
        target = folder / path.relative_to(new)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)


def _names_a_file(name: str) -> bool:
    """Return whether files can have this name, with a suffix."""
    try:
        return 0 < len(name.encode()) <= 200 and "\0" not in name
    except UnicodeEncodeError:
        return False


def _read(source: Path, background: str | None) -> tuple[Iterable[tuple[str, np.ndarray, list[str]]], list[str]]:
    """Return each photo's name with its map of seeds and the labels without a pixel, read one by one, and the class names."""
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such file or folder; {EXPECTED}")
    if source.is_dir() and (source / "labelmap.txt").exists():
        colors = read_label_map(source / "labelmap.txt")
        classes = _checked(source, [name for name in colors if name.lower() not in BACKGROUNDS], background)
        files = files_by_name(source / "SegmentationClass", (".png",))
        # the background's pixels are labelled by their distance from all shapes, as for the other formats
        objects = ["" if name == background else name for name in classes]
        return ((path.name, read_color_mask(path, colors, objects), []) for path in files.values()), classes
    found, names = _read_shapes(source)
    used = {shape.label for photo in found for shape in photo.shapes}
    if not used:
        raise ValueError(f"{source}: holds no shape; {EXPECTED}")
    _refuse_shares(source, found)
    names = [name for name in dict.fromkeys(names) if name in used] + sorted(used - set(names))
    classes = _checked(source, names, background)
    return _drawn(found, classes), classes


def _refuse_shares(source: Path, photos: list[Annotated]) -> None:
    """Raise ValueError if all coordinates are shares of the photos' sides instead of pixels."""
    shapes = [shape for photo in photos for shape in photo.shapes]
    corners = np.concatenate([np.empty((0, 2)), *(ring for shape in shapes for ring in shape.rings)])
    drawn = len(corners) > 2 and all(shape.mask is None for shape in shapes)
    if drawn and corners.min() >= 0 and corners.max() <= 1 < max(max(photo.size) for photo in photos):
        raise ValueError(
            f"{source}: all coordinates lie in 0..1; expected pixels: multiply x by the photo's width and y by its height"
        )


def _read_shapes(source: Path) -> tuple[list[Annotated], list[str]]:
    """Return each photo's shapes, and the labels in the source's order where it has one."""
    if source.is_dir():
        if (source / "annotations.xml").exists():
            return read_cvat_xml(source / "annotations.xml")
        files = files_by_name(source, (".json",)).values()
        if not files:
            raise ValueError(f"{source}: no JSON files and no annotations.xml; {EXPECTED}")
        contents = [(path, read_json(path)) for path in files]
        if len(contents) > 1 or "shapes" in contents[0][1]:
            return [read_labelme(path, content) for path, content in contents], []
        return read_coco(*contents[0])
    if source.suffix.lower() == ".xml":
        return read_cvat_xml(source)
    if source.suffix.lower() != ".json":
        raise ValueError(f"{source}: {'unpack it first' if source.suffix.lower() == '.zip' else EXPECTED}")
    content = read_json(source)
    if "shapes" in content:
        return [read_labelme(source, content)], []
    if "annotations" in content and "images" in content:
        return read_coco(source, content)
    raise ValueError(f"{source}: has the keys {', '.join(list(content)[:8])}; {EXPECTED}")


def _checked(source: Path, names: list[str], background: str | None) -> list[str]:
    """Return the class names, the background first; raise ValueError for too few or too many, or names of several lines."""
    first = [background] if background is not None else []
    classes = [*first, *(name for name in names if name != background)]
    if not 2 <= len(classes) <= PADDING:
        hint = (
            "; name the class of all other pixels: --background background" if len(classes) == 1 and not first else ""
        )
        raise ValueError(f"{source}: expected shapes of 2 to {PADDING} classes, got {len(classes)} {classes[:8]}{hint}")
    if any(name != name.strip() or not name or len(name.splitlines()) > 1 for name in classes):
        raise ValueError(f"{source}: expected labels of one line without spaces around them, got {classes[:8]}")
    return classes


def _drawn(photos: list[Annotated], classes: list[str]) -> Iterator[tuple[str, np.ndarray, list[str]]]:
    """Yield each photo's name, its seeds, and the labels of shapes without a pixel."""
    for photo in photos:
        yield photo.name, *draw_shapes(photo, classes)
