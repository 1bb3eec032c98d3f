"""One user's painting, settings and labels; `requests` changes them, and a widget shows them."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from torch import Tensor

from toykit._shared.palette import LINE_COLORS
from toykit._shared.resources import shipped
from toykit.conventions import UNLABELLED
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.datasets.photos import PHOTOS, photo
from toykit.datasets.sample import Sample, fit_within, read_image, resize_image
from toykit.explore.painting.files import MOST_PIXELS, MOST_UPLOADED, read_upload
from toykit.explore.painting.labelling import SOLVERS, Settings, label
from toykit.explore.painting.paint import Painting
from toykit.explore.painting.photo_folder import PhotoFolder
from toykit.explore.painting.pictures import VIEWS, label_layer, small_seeds, tints
from toykit.explore.painting.previews import Previews
from toykit.potts import RELAXATIONS
from toykit.supervision.spec import check_unlabelled

#: Errors that the page shows in one line instead of a traceback; without an answer the page would wait forever.
ERRORS = (ValueError, TypeError, LookupError, OSError, ImportError, RuntimeError, MemoryError)


class Session:
    """One user's painting, settings and labels: `toykit.explore.painting.requests.act` changes them.

    Parameters
    ----------
    name : str
        A photo of `toykit.datasets.PHOTOS`, the path of a photo, or a folder of photos.
    long_side : int
        The labels are computed on a copy of the photo whose longer side is at most this long, in pixels.
    scribbles : bool
        Whether to start with the photo's own scribbles, for a photo of `PHOTOS`.
    classes : sequence of str, optional
        Class names, for a photo or a folder of the user's.
    unlabelled : int, default 255
        See `toykit.explore.painting.paint.Painting`.
    """

    def __init__(
        self,
        name: str,
        long_side: int,
        scribbles: bool,
        classes: Sequence[str] | None = None,
        unlabelled: int = UNLABELLED,
    ):
        check_unlabelled(unlabelled)
        self.long_side, self.kernel, self.unlabelled = long_side, "auto", unlabelled
        self.settings, self.view = Settings(), "soft"
        self.message, self.error = "", ""
        self.folder: PhotoFolder | None = None
        self.number = self.opened = 0
        self.pieces: list[bytes] = []  # of a file that is being uploaded
        self.received = 0  # their bytes, also those of a file that is too large, of which no further piece is kept
        self.renamed: dict[str, str] = {}  # other names of classes, for marks that the page made before it knew
        if name in PHOTOS or not Path(name).exists():
            self.open_shipped(name, scribbles)
        else:
            self.folder = PhotoFolder(name, classes, unlabelled)
            self._open_first()

    def open(self, painting: Painting) -> None:
        """Begin with a painting, of which nothing is undone or unsaved."""
        self.painting = painting
        self.opened += 1
        self.labels: Tensor | None = None
        self.undone: list[Painting] = []
        self.unsaved = False
        self.full: tuple[tuple[Painting, Settings], Tensor] | None = None
        self.small = resize_image(painting.image, fit_within(painting.size, self.long_side))
        self.previews = Previews(self.small)
        self.key = f"{painting.name}-{zlib.crc32(self.small.tobytes()):08x}"

    def open_shipped(self, name: str, scribbles: bool = True) -> None:
        """Open one of the package's photos, perhaps with its scribbles."""
        sample = photo(name)
        painting = Painting(name, sample.image, sample.classes)
        if scribbles:
            painting = painting.load_file(shipped("data", "scribbles", f"{name}.json"))
        self.open(Painting(name, sample.image, painting.classes, painting.marks, unlabelled=self.unlabelled))

    def open_upload(self, filename: str, content: bytes) -> None:
        """Open an uploaded photo, at its own size."""
        name = Path(filename).name
        image = read_upload(name, content, lambda path: read_image(path, MOST_PIXELS))
        height, width = image.shape[:2]
        if min(width, height) < 2:
            raise ValueError(f"{name}: {width} x {height} pixels are too few to paint on; expected at least 2 x 2")
        stem = re.sub(r"[^\w.-]+", "_", Path(name).stem) or "photo"
        stem = f"my_{stem}" if stem in PHOTOS else stem  # the plain name selects the package's photo
        self.open(Painting(stem, image, ("background", "object"), unlabelled=self.unlabelled))

    def open_number(self, number: int) -> None:
        """Open a photo of the folder."""
        folder = self._folder()
        if number not in range(len(folder.photos)):
            raise ValueError(f"photo: expected a number in 0..{len(folder.photos) - 1}, got {number!r}")
        painting = folder.open(number, self.painting.colors if hasattr(self, "painting") else {})
        self.number = number
        self.open(painting)

    def edit(self, painting: Painting) -> None:
        """Take over a changed painting, which an undo takes back."""
        self.painting, self.undone, self.unsaved = painting, [], True

    def autosave(self) -> None:
        """Write what is unsaved beside its photo, if it is a photo of a folder."""
        if self.folder is None or not self.unsaved:
            return
        try:
            self.folder.save(self.number, self.painting)
            self.unsaved = False
        except (OSError, ValueError) as error:
            self.error = f"not saved: {error}"

    def solve(self, preview: bool) -> None:
        """Compute the labels of the small copy; if that fails, `error` contains the reason."""
        if self.settings.solver != "fast":
            preview = False
        try:
            self.labels, self.message = label(
                self.sample(), self.settings, self.labels, preview, self.kernel, self.previews
            )
        except ERRORS as error:
            self.labels, self.message = None, ""
            self.error = self.error or str(error)

    def sample(self) -> Sample:
        """Return the small copy of the photo, on which labels are computed."""
        painting, size = self.painting, self.small.shape[1::-1]
        return Sample(
            painting.name, self.small, small_seeds(painting.seeds, size, len(painting.classes)), painting.classes
        )

    def full_labels(self) -> Tensor:
        """Compute the labels at the photo's own size, as they are exported."""
        of = (self.painting, self.settings)
        if self.full is None or self.full[0] != of:
            self.full = (of, label(self.painting.sample, self.settings, kernel=self.kernel)[0])
        return self.full[1]

    def layer(self) -> np.ndarray:
        """Return the selected view of the labels, RGBA at the size of the small copy."""
        return label_layer(self.labels, self.view, tints(self.painting), self.small.shape[1::-1])

    def state(self) -> dict:
        """Return everything that the page's controls show."""
        painting, folder = self.painting, self.folder
        colors = (tints(painting) * 255).round().astype(int).tolist()
        named = zip(painting.classes, colors, strict=True)
        seeded = int(np.count_nonzero(painting.seeds < len(painting.classes)))  # JSON takes no number of NumPy
        return {
            "classes": [{"name": name, "color": "#{:02x}{:02x}{:02x}".format(*color)} for name, color in named],
            "photos": [] if folder else list(PHOTOS), "photo": painting.name, "key": self.key,
            "size": list(painting.size), "solved": list(self.small.shape[1::-1]),
            "folder": folder.state(self.number) if folder else None,
            "relaxations": list(RELAXATIONS), "cross_entropies": list(CROSS_ENTROPIES), "solvers": SOLVERS, "views": VIEWS,
            "settings": asdict(self.settings), "defaults": asdict(Settings()), "idle": self.settings.idle(), "view": self.view,
            "can_undo": painting.previous is not None, "can_redo": bool(self.undone), "unsaved": self.unsaved,
            "marks": len(painting.marks), "has_seeds": seeded > 0, "seeded": seeded, "has_labels": self.labels is not None,
            "message": self.message, "error": self.error, "accent": LINE_COLORS[0],
            "most_bytes": MOST_UPLOADED,
        }  # fmt: skip

    def _open_first(self) -> None:
        """Open the folder's first photo without scribbles that can be read; if there is none, the first with scribbles."""
        folder, errors = self._folder(), []
        for number in sorted(range(len(folder.photos)), key=lambda k: folder.photos[k] in folder.painted):
            try:
                return self.open_number(number)
            except (ValueError, OSError) as error:
                errors.append(error)
        raise errors[0]

    def _folder(self) -> PhotoFolder:
        """Return the folder, or raise ValueError if there is none."""
        if self.folder is None:
            raise ValueError("no folder is open: toykit paint FOLDER")
        return self.folder
