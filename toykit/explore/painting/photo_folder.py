"""A folder of photos to paint on: its list of classes, and each photo's scribbles beside it.

    images/NAME.jpg, scribbles/NAME.json, classes.txt      what `toykit train` reads with data.kind=folder
    NAME.jpg, NAME_scribbles.json, classes.txt             without images/; `toykit segment FOLDER FOLDER` reads this

Scribbles that lie there as an indexed PNG are read and stay a PNG.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from toykit._shared.files import check_writable, write_atomically, write_text
from toykit._shared.photo_jobs import PAINTED, list_photos, refuse_ambiguous, refuse_colliding
from toykit.conventions import PADDING, UNLABELLED
from toykit.datasets.layout import files_by_name, name_key, read_lines
from toykit.datasets.sample import fit_within, read_image
from toykit.explore.painting.files import read_colors, scribbles_json
from toykit.explore.painting.paint import Painting
from toykit.supervision import Scribbles, read_indexed_png, read_scribbles, write_seeds
from toykit.supervision.indexed_png import read_class_names
from toykit.supervision.spec import check_unlabelled

#: Longer side of a thumbnail, in pixels.
THUMBNAIL = 96


class PhotoFolder:
    """The photos of a folder with their scribbles.

    Parameters
    ----------
    root : str or Path
        The folder, or one photo.
    classes : sequence of str, optional
        Class names by id. Default: those of classes.txt, else "background" and "object".
    unlabelled : int, default 255
        See `Painting`.

    Raises
    ------
    FileNotFoundError
        If there are no photos.
    OSError
        If the folder cannot be written.
    ValueError
        If names are ambiguous, or `classes` are not those of classes.txt.
    """

    def __init__(self, root: str | Path, classes: Sequence[str] | None = None, unlabelled: int = UNLABELLED):
        check_unlabelled(unlabelled)
        root, self.unlabelled = Path(root), unlabelled
        self.root = root if root.is_dir() else root.parent
        apart = (self.root / "images").is_dir() and root.is_dir()
        self.images, self.scribbles = (
            (self.root / "images", self.root / "scribbles") if apart else (self.root, self.root)
        )
        self.ending = "" if apart else PAINTED
        self.photos = self._find_photos() if root.is_dir() else [root]
        self.files = self._find_files()
        check_writable(self.root)
        self.classes = self._find_classes(classes)
        self.painted = {path for path in self.photos if self.file(path).exists()}
        for path in self.painted:  # one list for all photos
            if _holds_strokes(self.file(path)):
                own = read_scribbles(self.file(path)).classes
                self.classes += tuple(name for name in own if name not in self.classes)

    def file(self, photo: Path) -> Path:
        """Return the file of a photo's scribbles, which need not exist."""
        return self.files[photo]

    def open(self, number: int, colors: Mapping[str, str]) -> Painting:
        """Return a photo with its scribbles; colours that the user chose on other photos stay.

        Raises
        ------
        ValueError
            If the photo or its scribbles cannot be read, or a PNG holds padding, which the painter would lose.
        """
        photo = self.photos[number]
        painting = Painting(photo.stem, read_image(photo), self.classes, unlabelled=self.unlabelled)
        path = self.file(photo)
        if path.exists():
            if not _holds_strokes(path) and (read_indexed_png(path) == PADDING).any():
                raise ValueError(
                    f"{path}: holds padding ({PADDING}), which the painter cannot keep; save these pixels as unlabelled "
                    f"({UNLABELLED}) to paint on this photo"
                )
            painting = painting.load_file(path)
        classes = self.classes + tuple(name for name in painting.classes if name not in self.classes)
        colors = {name: color for name, color in {**painting.colors, **colors}.items() if name in classes}
        return replace(painting, classes=classes, colors=colors, previous=None)

    def save(self, number: int, painting: Painting) -> None:
        """Write a photo's scribbles and the list of classes; a photo without marks has no file."""
        photo = self.photos[number]
        path = self.file(photo)
        if not painting.marks:
            path.unlink(missing_ok=True)
            self.painted.discard(photo)
        else:
            content = painting.strokes_json() if _holds_strokes(path) else painting.seeds_png()
            write_atomically(path, lambda file: file.write(content))
            self.painted.add(photo)
        self.classes = painting.classes
        self.write_classes()

    def rename_class(self, number: int, old: str, new: str) -> None:
        """Rename a class in the files of all photos but one, whose painting the caller changes."""

        def renamed(names: Iterable[str]) -> tuple[str, ...]:
            return tuple(new if name == old else name for name in names)

        for path in self._other_files(number):
            if _holds_strokes(path):
                scribbles = read_scribbles(path)
                marks = tuple(replace(mark, label=new) if mark.label == old else mark for mark in scribbles.strokes)
                colors = read_colors(path, scribbles.classes)
                colors = dict(zip(renamed(colors), colors.values(), strict=True))
                _write(path, replace(scribbles, classes=renamed(scribbles.classes), strokes=marks), colors)
            elif old in (names := read_class_names(path)):
                write_seeds(path, read_indexed_png(path), renamed(names))

    def remove_class(self, number: int, name: str, classes: tuple[str, ...]) -> None:
        """Remove a class from the files of all photos but one; they get the list of classes that are left.

        Raises
        ------
        ValueError
            If another photo has strokes of it, or a PNG whose ids would change their meaning.
        """
        files = self._other_files(number)
        used = [
            path
            for path in files
            if not _holds_strokes(path) or any(m.label == name for m in read_scribbles(path).strokes)
        ]
        if used:
            raise ValueError(
                f"class {name} is used by {len(used)} other photos, {', '.join(path.name for path in used[:4])}; erase it "
                "there first (ids in a PNG are positions in the list of classes)"
            )
        for path in files:
            _write(path, replace(read_scribbles(path), classes=classes), read_colors(path, classes))

    def thumbnail(self, number: int) -> bytes:
        """Return a small JPEG of a photo."""
        from PIL import Image, ImageOps

        try:
            with Image.open(self.photos[number]) as file:
                file.draft("RGB", (2 * THUMBNAIL, 2 * THUMBNAIL))  # a JPEG is decoded small
                picture = ImageOps.exif_transpose(file).convert("RGB")
        except Exception:  # whatever is wrong with the file, the strip of pictures goes on
            picture = Image.new("RGB", (THUMBNAIL, THUMBNAIL), "white")
        picture = picture.resize(fit_within(picture.size, THUMBNAIL), Image.Resampling.BOX)
        file = io.BytesIO()
        picture.save(file, format="JPEG", quality=80)
        return file.getvalue()

    def state(self, number: int) -> dict:
        """Return what the page shows: each photo's name and whether it is painted, and where the scribbles are."""
        photos = [{"name": path.stem, "done": path in self.painted} for path in self.photos]
        return {"photos": photos, "number": number, "file": str(self.file(self.photos[number]).relative_to(self.root))}

    def _other_files(self, number: int) -> list[Path]:
        """Return the files of scribbles of all photos but one."""
        return [self.file(path) for path in self.photos if path in self.painted and path != self.photos[number]]

    def _find_photos(self) -> list[Path]:
        """Return the photos, without maps of seeds that lie beside them."""
        photos = list_photos(self.images)
        stems = {name_key(path.stem) for path in photos}
        photos = [
            path
            for path in photos
            if not (path.stem.endswith(PAINTED) and name_key(path.stem.removesuffix(PAINTED)) in stems)
        ]
        if not photos:
            raise FileNotFoundError(f"{self.images}: no photos; expected .jpg, .png, .tif, .bmp or .webp")
        refuse_colliding(photos, f"{self.images}: the scribbles of photos with one name would collide")
        return photos

    def _find_files(self) -> dict[Path, Path]:
        """Return the file of each photo's scribbles, which need not exist."""
        strokes, maps = (files_by_name(self.scribbles, (suffix,)) for suffix in (".json", ".png"))
        files = {}
        for photo in self.photos:
            name = name_key(photo.stem)
            found = [strokes.get(name + self.ending), maps.get(name + self.ending)]
            if self.ending:
                found.append(strokes.get(name))
            there = [path for path in found if path is not None]
            refuse_ambiguous({photo.stem: there}, f"{self.scribbles}: more than one file of seeds for a photo")
            files[photo] = there[0] if there else self.scribbles / f"{photo.stem}{self.ending}.json"
        return files

    def _find_classes(self, given: Sequence[str] | None) -> tuple[str, ...]:
        """Return the list of classes, from the caller or from classes.txt."""
        path = self.root / "classes.txt"
        listed = tuple(read_lines(path, "names")) if path.exists() else ()
        names = tuple(given) if given else listed or ("background", "object")
        if (
            len(set(names)) < len(names)
            or not 2 <= len(names) <= PADDING
            or any(not name or name != name.strip() for name in names)
        ):
            raise ValueError(f"expected 2 to {PADDING} different class names, got {', '.join(names)}")
        if listed and names[: len(listed)] != listed:
            raise ValueError(
                f"{path} lists {', '.join(listed)}, which are not the first of the given classes {', '.join(names)}; leave the "
                "classes out, or add new ones at the end"
            )
        return names

    def write_classes(self) -> None:
        """Write classes.txt if it differs."""
        path = self.root / "classes.txt"
        text = "".join(f"{name}\n" for name in self.classes)
        if not path.exists() or path.read_bytes() != text.encode():
            write_text(path, text)


def _holds_strokes(path: Path) -> bool:
    """Return whether a file holds strokes as JSON, not a map as PNG."""
    return path.suffix.lower() == ".json"


def _write(path: Path, scribbles: Scribbles, colors: Mapping[str, str]) -> None:
    """Write strokes with the painter's colours."""
    content = scribbles_json(scribbles, colors)
    write_atomically(path, lambda file: file.write(content))
