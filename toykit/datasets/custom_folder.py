"""A user's own folder: photos with scribbles, and masks where there are any.

images/ID.jpg (or .png, .tif, .bmp, .webp; suffixes in upper or lower case)
scribbles/ID.png or ID.json      toykit/supervision/indexed_png.py (class ids, 255 = unlabelled, 254 = padding), strokes.py;
                                 at the photo's size, or at another size of the same shape, which is scaled
masks/ID.png                     optional: class ids, 255 = void
classes.txt                      one name per line; the first is class 0
train.txt, val.txt               optional: one id per line. Without lists, all images are for training, and those with
                                 a mask also for validation
"""

from pathlib import Path

from toykit.conventions import PADDING, UNLABELLED
from toykit.datasets.layout import files_by_name, name_key, pictures, plain_table, read_lines, read_list
from toykit.datasets.segmentation_set import Entry, SegmentationSet
from toykit.supervision import Supervision


def find(root: Path, split: str, supervision: Supervision) -> SegmentationSet:
    """List the files of the set.

    Parameters
    ----------
    root : Path
        The folder.
    split : str
        "train" or "val".
    supervision : Supervision
        Where the seeds come from.

    Returns
    -------
    SegmentationSet

    Raises
    ------
    FileNotFoundError
        If there are no images, or a listed image or mask is missing; names the file.
    ValueError
        If a file is faulty, or the supervision does not fit the files; names the file.
    """
    classes = _names(root / "classes.txt")
    images = {name_key(path.stem): path for path in pictures(root / "images")}
    masks = {name_key(path.stem): path for path in masks_of(root)}
    listed = root / f"{split}.txt"
    if listed.exists():
        ids = read_list(listed, spaces=True)
        missing = [name for name in ids if name not in images]
        if missing:
            raise FileNotFoundError(f"{listed}: no picture in images/ for {', '.join(missing[:8])}")
        unmasked = [name for name in ids if name not in masks] if split == "val" else []
        if unmasked:
            raise FileNotFoundError(f"{listed}: no mask in masks/ for {', '.join(unmasked[:8])}")
    else:
        ids = tuple(images) if split == "train" else tuple(name for name in images if name in masks)
        if not ids:
            raise FileNotFoundError(f"{root / 'masks'}: no masks, which validation needs")
    marks = {}
    if supervision.kind == "scribbles":
        if supervision.width != 3:
            raise ValueError("folder: scribbles carry their own width; leave the supervision's at 3")
        drawn, strokes = (files_by_name(root / "scribbles", (suffix,)) for suffix in (".png", ".json"))
        default = root / "scribbles"
        marks = {
            name: _scribbles(strokes.get(name), drawn.get(name, default / f"{name}.png"), supervision.ratio)
            for name in ids
        }
        if supervision.unlabelled != UNLABELLED and not any(path.suffix.lower() == ".png" for path in marks.values()):
            raise ValueError(
                f"{default}: unlabelled={supervision.unlabelled} has no effect, because all scribbles are strokes (JSON); "
                "leave it out"
            )
    entries = tuple(Entry(images[name], masks.get(name), marks.get(name)) for name in ids)
    return SegmentationSet("folder", split, ids, classes, entries, plain_table(len(classes)), classes, supervision)


def masks_of(root: Path) -> list[Path]:
    """Return the mask files of a folder, sorted by name.

    Parameters
    ----------
    root : Path
        The user's folder.

    Returns
    -------
    list of Path
    """
    return sorted(p for p in (root / "masks").glob("*") if p.suffix.lower() == ".png" and not p.name.startswith("."))


def _scribbles(strokes: Path | None, drawn: Path, ratio: float) -> Path:
    """Return the file of one image's scribbles: strokes or a drawn map. Only strokes can be shortened."""
    if strokes is not None and drawn.exists():
        raise ValueError(f"{strokes}: there is a PNG of this name too; keep one of them")
    if strokes is not None:
        return strokes
    if ratio != 1:
        raise ValueError(
            f"{drawn}: a drawn map cannot be shortened to ratio {ratio:g}; that needs strokes, {drawn.stem}.json"
        )
    return drawn


def _names(path: Path) -> tuple[str, ...]:
    """Read the class names, one per line."""
    names = read_lines(path, "names")
    if not 2 <= len(names) <= PADDING or len(set(names)) < len(names):
        raise ValueError(f"{path}: expected 2 to {PADDING} different class names, one per line, got {names[:8]}")
    return tuple(names)
