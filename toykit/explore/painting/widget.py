"""Define the painter's widget, which passes the page's requests to a `Session` and returns its state and pictures."""

import threading
from collections.abc import Sequence

import anywidget
import traitlets

from toykit.conventions import UNLABELLED
from toykit.explore.painting.labelling import compile_loops
from toykit.explore.painting.page import script, style
from toykit.explore.painting.pictures import LabelsLayer, SeedsLayer, photo_file, shown_size
from toykit.explore.painting.requests import act
from toykit.explore.painting.session import Session

#: Requests that do not affect the labels.
LOOKS = {"show", "view", "save", "export", "settle", "thumbnails", "recolor"}


class PainterWidget(anywidget.AnyWidget):
    """The painter, see `toykit.explore.painter`.

    The page sends one list of requests at a time and collects further requests until the answer, so that solves never queue
    up. A stroke is answered by a preview; when the user pauses, the page requests the full solution ("settle").
    """

    _esm = script()
    _css = style()
    state = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        name: str,
        long_side: int,
        scribbles: bool,
        classes: Sequence[str] | None = None,
        unlabelled: int = UNLABELLED,
    ):
        self.answered = False  # whether the page has the answer to its last requests
        self.session = Session(name, long_side, scribbles, classes, unlabelled)
        self.labels, self.seeds = LabelsLayer(), SeedsLayer()
        super().__init__(state=self.session.state())
        self.on_msg(lambda _, content, buffers: self.answer(content["actions"], buffers))
        self.session.kernel = "torch"  # until the loops of the numba kernel are compiled
        threading.Thread(target=self._compile, daemon=True).start()

    def answer(self, actions: list[dict], buffers: list) -> None:
        """Carry out the page's requests and send it the results; without an answer it would wait forever."""
        self.answered = False
        try:
            self._carry_out(actions, buffers)
        except Exception as error:  # shown in the page: nothing else would tell the user
            self.session.error = f"{type(error).__name__}: {error}"
            self.state = self.session.state()
            self.labels.forget()  # they may not have been sent
            self.seeds.forget()
        if not self.answered:
            self.send({"kind": "done"})

    def _carry_out(self, actions: list[dict], buffers: list) -> None:
        """Carry out the page's requests and send it pictures and files."""
        session, done = self.session, {action["do"] for action in actions}
        before = session.opened
        downloads = act(session, actions, [bytes(b) for b in buffers])
        if done <= {"piece", "thumbnails"}:
            self._send_thumbnails(actions)
            return
        opened = session.opened != before or "show" in done
        changed = bool(done - LOOKS) or (opened and session.labels is None)
        preview = changed and session.settings.solver == "fast"
        if changed or "settle" in done:
            session.solve(preview)
        ahead = opened or not preview  # the picture of a stroke should not wait for the page's controls
        if ahead:
            self.state = session.state()
        if opened:
            self.labels.forget()
            self.seeds.forget()
            size = shown_size(session.painting.image)
            self.send(
                {"kind": "photo", "shown": size, "size": session.painting.size}, [photo_file(session.painting.image)]
            )
            self._send_document(opened=True)  # before the pictures, after which the page sends strokes
        self._send_pictures(settled=not preview)
        self.answered = True
        if not ahead:
            self.state = session.state()
        if session.folder is not None and session.unsaved:  # after the pictures, which should not wait for the disk
            session.autosave()
            self.state = session.state()
        if not preview and not opened:
            self._send_document(opened=False)
        for name, file in downloads.items():
            self.send({"kind": "file", "name": name}, [file])

    def _send_pictures(self, settled: bool) -> None:
        """Send the parts of the labels and of the strokes that have changed."""
        session, buffers = self.session, []
        content: dict = {"kind": "pictures", "size": session.small.shape[1::-1], "settled": settled}
        for name, part in (
            ("labels", self.labels.update(session.layer())),
            ("strokes", self.seeds.update(session.painting)),
        ):
            if part is not None:
                content[name] = part[0]  # where
                buffers.append(part[1])
        self.send(content, buffers)

    def _send_document(self, opened: bool) -> None:
        """Send the marks, which the page keeps, in case that the kernel dies."""
        document = self.session.painting.strokes_json().decode()
        self.send({"kind": "document", "key": self.session.key, "document": document, "opened": opened})

    def _send_thumbnails(self, actions: list[dict]) -> None:
        """Send the small pictures that the page requests."""
        folder = self.session.folder
        wanted = [number for action in actions for number in action.get("numbers", ())]
        for number in wanted:
            if folder is not None and number in range(len(folder.photos)):
                self.send({"kind": "thumbnail", "number": number}, [folder.thumbnail(number)])

    def _compile(self) -> None:
        """Compile the numba kernel, then use it."""
        compile_loops()
        self.session.kernel = "auto"
