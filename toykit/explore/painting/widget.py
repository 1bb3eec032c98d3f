"""Define the painter's widget, which passes the page's requests to a `Session` and returns its state and pictures."""

import threading
from pathlib import Path

import anywidget
import traitlets

from toykit.explore.painting.labelling import compile_loops
from toykit.explore.painting.session import Session

HERE = Path(__file__).parent
#: Requests that do not affect the labels.
LOOKS = {"show", "view", "save", "export"}


class PainterWidget(anywidget.AnyWidget):
    """The painter, see `toykit.explore.painter`.

    The page sends one list of requests at a time and collects further requests until the answer, so that solves never queue
    up. A stroke is answered by a preview; when the user pauses, the page requests the full solution ("settle").
    """

    _esm = HERE / "painter.js"
    _css = HERE / "painter.css"
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, name: str, long_side: int, scribbles: bool):
        self.session = Session(name, long_side, scribbles)
        super().__init__(state=self.session.state())
        self.on_msg(lambda _, content, buffers: self.answer(content["actions"], buffers))
        self.session.kernel = "torch"  # until the loops of the numba kernel are compiled
        threading.Thread(target=self._compile, daemon=True).start()

    def answer(self, actions: list[dict], buffers: list) -> None:
        """Carry out the page's requests and send it the results."""
        session, done = self.session, {action["do"] for action in actions}
        opening = done == {"show"} and session.labels is None
        downloads = session.act([a for a in actions if a["do"] != "settle"], [bytes(b) for b in buffers])
        changed = bool(done - LOOKS - {"settle"}) or opening
        preview = changed and session.settings.solver == "fast"
        if changed or "settle" in done:
            session.solve(preview)
        self.state = session.state()
        if done & {"show", "photo", "upload"}:
            self.send({"kind": "photo", "size": session.painting.size}, [photo_bytes(session)])
        shown, seeds = session.pictures()
        answer = {"kind": "pictures", "size": session.painting.size, "settled": not preview}
        self.send(answer, [shown.tobytes(), seeds.tobytes()])
        for name, content in downloads.items():
            self.send({"kind": "file", "name": name}, [content])

    def _compile(self) -> None:
        """Compile the numba kernel, then use it."""
        compile_loops()
        self.session.kernel = "auto"


def photo_bytes(session: Session) -> bytes:
    """Return the photo as RGBA bytes."""
    from toykit.explore.painting.labelling import rgba

    return rgba(session.painting.image).tobytes()
