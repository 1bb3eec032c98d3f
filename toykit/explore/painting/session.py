"""Handle the painter page's requests and describe its state, in plain dictionaries and arrays, without a browser."""

import io
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit._shared.palette import LINE_COLORS
from toykit._shared.resources import shipped
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.datasets.photos import PHOTOS, photo
from toykit.datasets.sample import fit_within, read_image, resize_image
from toykit.explore.painting.labelling import SOLVERS, VIEWS, Settings, label, picture, seeds_layer, tints
from toykit.explore.painting.paint import Painting, read_upload
from toykit.potts import RELAXATIONS

#: Errors that the page shows in one line instead of a traceback; without an answer the page would wait forever.
ERRORS = (ValueError, TypeError, LookupError, OSError, ImportError, RuntimeError, MemoryError)


class Session:
    """One user's painting, settings and labels: `act` changes them, `state` and `pictures` describe them.

    Parameters
    ----------
    name : str
        A photo of `toykit.datasets.PHOTOS`.
    long_side : int
        Photos are scaled down to this length, in pixels.
    scribbles : bool
        Whether to start with the photo's own scribbles.
    """

    def __init__(self, name: str, long_side: int, scribbles: bool):
        self.long_side, self.kernel = long_side, "auto"
        self.settings, self.view = Settings(), "soft"
        self.labels: Tensor | None = None
        self.message, self.error = "", ""
        self._photo(name, scribbles)

    def act(self, actions: list[dict], files: Sequence[bytes] = ()) -> dict[str, bytes]:
        """Carry out a page's requests in order.

        A request that fails sets `error`; the following ones are still carried out.

        Parameters
        ----------
        actions : list of dict
            Requests: {"do": name, and its arguments}.
        files : sequence of bytes, default ()
            Uploaded files, to which requests refer by number.

        Returns
        -------
        dict of str to bytes
            Files for the page to save: name -> content.
        """
        downloads = {}
        for action in actions:
            try:
                self.error = ""
                do = getattr(self, f"_do_{action.get('do')}", None)
                if do is None:
                    raise ValueError(f"no such request: {action}")
                downloads |= do(action, files) or {}
            except ERRORS as error:
                self.error = str(error)
        return downloads

    def solve(self, preview: bool) -> None:
        """Compute the labels; if that fails, `error` contains the reason."""
        if self.settings.solver != "fast":
            preview = False
        try:
            self.labels, self.message = label(self.painting, self.settings, self.labels, preview, self.kernel)
        except ERRORS as error:
            self.labels, self.message = None, ""
            self.error = self.error or str(error)

    def state(self) -> dict:
        """Return everything that the page's controls show."""
        painting = self.painting
        colors = (tints(painting) * 255).round().astype(int).tolist()
        named = zip(painting.classes, colors, strict=True)
        classes = [{"name": name, "color": "rgb({},{},{})".format(*color)} for name, color in named]
        return {
            "classes": classes,
            "photos": list(PHOTOS), "photo": painting.name, "size": list(painting.size),
            "relaxations": list(RELAXATIONS), "cross_entropies": list(CROSS_ENTROPIES), "solvers": SOLVERS, "views": VIEWS,
            "settings": asdict(self.settings), "idle": self.settings.idle(), "view": self.view,
            "can_undo": painting.previous is not None, "can_save_strokes": painting.only_strokes,
            "has_seeds": bool((painting.seeds < len(painting.classes)).any()), "has_labels": self.labels is not None,
            "seeded": int((painting.seeds < len(painting.classes)).sum()),
            "message": self.message, "error": self.error, "accent": LINE_COLORS[0],
        }  # fmt: skip

    def pictures(self) -> tuple[np.ndarray, np.ndarray]:
        """Return RGBA pictures of the selected view, blank without labels, and of the layer of seeds."""
        return picture(self.painting, self.labels, self.view), seeds_layer(self.painting)

    def _photo(self, name: str, scribbles: bool) -> None:
        """Open one of the package's photos."""
        sample = photo(name, self.long_side)
        painting = Painting(name, sample.image, sample.classes)
        if scribbles:
            file = shipped("data", "scribbles", f"{name}.json")
            painting = painting.load(file.name, file.read_bytes())
        self.painting, self.labels = painting, None

    def _do_photo(self, action, files):
        self._photo(action["name"], True)

    def _do_upload(self, action, files):
        name, content = Path(action["name"]).name, files[action["file"]]
        image = read_upload(name, content, read_image)
        image = resize_image(image, fit_within(image.shape[1::-1], self.long_side))
        if min(image.shape[:2]) < 2:
            raise ValueError(f"{name}: {image.shape[1]} x {image.shape[0]} pixels are too few to paint on")
        stem = re.sub(r"[^\w.-]+", "_", Path(name).stem) or "photo"
        stem = f"my_{stem}" if stem in PHOTOS else stem  # the plain name selects the package's photo
        self.painting, self.labels = Painting(stem, image, ("background", "object")), None

    def _do_stroke(self, action, files):
        classes, number = self.painting.classes, action["class"]
        if not action["erase"] and number not in range(len(classes)):  # its class may have just been undone
            raise ValueError(f"class: expected a number in 0..{len(classes) - 1}, got {number!r}")
        name = None if action["erase"] else classes[number]
        self.painting = self.painting.paint(name, action["width"], action["points"])

    def _do_undo(self, action, files):
        self.painting = self.painting.undo()

    def _do_clear(self, action, files):
        self.painting = self.painting.clear()

    def _do_class(self, action, files):
        self.painting = self.painting.add_class(action["name"])

    def _do_load(self, action, files):
        self.painting = self.painting.load(action["name"], files[action["file"]])
        self.error = "; ".join(self.painting.notes)

    def _do_set(self, action, files):
        settings = replace(self.settings, **{action["name"]: action["value"]})
        check_choice("solver", settings.solver, SOLVERS)
        settings.energy()  # raises ValueError for invalid values
        self.settings = settings
        if self.view in settings.idle():
            self.view = "soft"

    def _do_view(self, action, files):
        check_choice("view", action["name"], VIEWS)
        self.view = action["name"]

    def _do_save(self, action, files):
        painting = self.painting
        if action["kind"] == "json":
            return {f"{painting.name}_scribbles.json": painting.strokes_json()}
        return {f"{painting.name}_scribbles.png": painting.seeds_png()}

    def _do_export(self, action, files):
        from PIL import Image

        if self.labels is None:
            raise ValueError("nothing to export yet: paint a stroke in each of two classes first")
        file = io.BytesIO()
        if action["kind"] == "npz":
            labels = self.labels[0].float().cpu().numpy()
            np.savez_compressed(file, labels=labels, classes=np.array(self.painting.classes))
            return {f"{self.painting.name}_labels.npz": file.getvalue()}
        Image.fromarray(self.pictures()[0]).save(file, format="PNG")
        return {f"{self.painting.name}_{self.view}.png": file.getvalue()}

    def _do_show(self, action, files):
        """Change nothing: the page has just opened."""
