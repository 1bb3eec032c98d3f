"""The page's requests, as plain dictionaries {"do": name, and its arguments}, carried out on a session without a browser."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from toykit._shared.arguments import check_choice
from toykit.explore.painting.files import MOST_UPLOADED
from toykit.explore.painting.labelling import SOLVERS
from toykit.explore.painting.paint import Painting
from toykit.explore.painting.pictures import VIEWS, picture, tints
from toykit.explore.painting.session import ERRORS, Session

Files = Sequence[bytes]
#: Requests that the page makes by itself.
QUIET = ("settle", "thumbnails")


def act(session: Session, actions: list[dict], files: Files = ()) -> dict[str, bytes]:
    """Carry out requests in order.

    A request that fails sets the session's `error`; the following ones are still carried out.

    Parameters
    ----------
    session : Session
    actions : list of dict
        Requests: {"do": a key of `REQUESTS`, and its arguments}.
    files : sequence of bytes, default ()
        Uploaded files, to which requests refer by number ("file"). Those of "piece" precede the file of a later request.

    Returns
    -------
    dict of str to bytes
        Files for the page to save: name -> content.
    """
    downloads = {}
    for action in actions:
        try:
            if action.get("do") not in QUIET:
                session.error = ""  # otherwise the last request's error stays in sight
            do = REQUESTS.get(action.get("do"))
            if do is None:
                raise ValueError(f"no such request: {action}")
            downloads |= do(session, action, files) or {}
        except ERRORS as error:
            session.error = str(error)
    return downloads


def _content(session: Session, action: dict, files: Files) -> bytes:
    """Return the content of a file whose first pieces came before."""
    pieces, received = session.pieces, session.received
    session.pieces, session.received = [], 0
    last = files[action["file"]]
    if received + len(last) > MOST_UPLOADED:
        raise ValueError(
            f"{action['name']}: more than {MOST_UPLOADED / 1e6:g} MB, which is the limit; save it at a smaller size"
        )
    return b"".join([*pieces, last])


def _class(session: Session, action: dict) -> str | None:
    """Return the class of a mark, None for the eraser."""
    classes, name = session.painting.classes, action["class"]
    if action["erase"]:
        return None
    if name not in classes:
        name = session.renamed.get(name, name)
    check_choice("class", name, classes)  # it may have just been undone
    return name


def _piece(session: Session, action: dict, files: Files) -> None:
    if action["first"]:
        session.pieces, session.received = [], 0
    session.received += len(files[action["file"]])
    if session.received <= MOST_UPLOADED:
        session.pieces.append(files[action["file"]])


def _load(session: Session, action: dict, files: Files) -> None:
    _take_over(session, session.painting.load(action["name"], _content(session, action, files)))


def _restore(session: Session, action: dict, files: Files) -> None:
    before = session.painting
    _take_over(session, before.load(f"{before.name}.json", action["document"].encode()))
    whole = session.painting  # now mark by mark, so that an undo among the later steps takes back only one
    for count in range(1, len(whole.marks) + 1):
        before = replace(whole, marks=whole.marks[:count], previous=before)
    session.painting = before if whole.marks else whole


def _take_over(session: Session, painting: Painting) -> None:
    """Take over a loaded painting; in a folder there is one list of classes for all photos."""
    if session.folder is not None:
        classes = session.folder.classes
        painting = replace(painting, classes=classes + tuple(n for n in painting.classes if n not in classes))
    session.edit(painting)
    session.error = "; ".join(painting.notes)


def _undo(session: Session, action: dict, files: Files) -> None:
    before = session.painting.undo()
    if before is not session.painting:
        session.undone.append(session.painting)
        session.painting, session.unsaved = before, True


def _redo(session: Session, action: dict, files: Files) -> None:
    if session.undone:
        session.painting, session.unsaved = session.undone.pop(), True


def _stroke(session: Session, action: dict, files: Files) -> None:
    session.edit(session.painting.paint(_class(session, action), action["width"], action["points"]))


def _polygon(session: Session, action: dict, files: Files) -> None:
    session.edit(session.painting.polygon(_class(session, action), action["points"]))


def _fill(session: Session, action: dict, files: Files) -> None:
    session.edit(session.painting.fill(_class(session, action), action["point"]))


def _clear(session: Session, action: dict, files: Files) -> None:
    session.edit(session.painting.clear())


def _add_class(session: Session, action: dict, files: Files) -> None:
    _change_classes(session, session.painting.add_class(action["name"]))


def _rename_class(session: Session, action: dict, files: Files) -> None:
    changed, old = session.painting.rename_class(action["name"], action["to"]), action["name"]
    new = changed.classes[session.painting.classes.index(old)]
    if session.folder is not None:
        session.folder.rename_class(session.number, old, new)
    session.renamed |= {old: new, new: old}  # an undo brings the old name back
    _change_classes(session, changed)


def _remove_class(session: Session, action: dict, files: Files) -> None:
    changed = session.painting.remove_class(action["name"])
    if session.folder is not None:
        session.folder.remove_class(session.number, action["name"], changed.classes)
    _change_classes(session, changed)


def _change_classes(session: Session, painting: Painting) -> None:
    """Take over other classes; in a folder for good, since the files of other photos have changed, too."""
    session.edit(painting if session.folder is None else replace(painting, previous=None))
    if session.labels is not None and session.labels.shape[1] != len(painting.classes):
        session.labels = None


def _color_class(session: Session, action: dict, files: Files) -> None:
    session.edit(session.painting.color_class(action["name"], action["color"]))


def _photo(session: Session, action: dict, files: Files) -> None:
    session.open_shipped(action["name"])


def _upload(session: Session, action: dict, files: Files) -> None:
    session.open_upload(action["name"], _content(session, action, files))


def _go(session: Session, action: dict, files: Files) -> None:
    session.autosave()
    if session.unsaved:
        raise OSError(session.error)  # stay, with the strokes
    session.open_number(action["number"])


def _set(session: Session, action: dict, files: Files) -> None:
    settings = replace(session.settings, **{action["name"]: action["value"]})
    check_choice("solver", settings.solver, SOLVERS)
    settings.energy()  # raises ValueError for invalid values
    session.settings = settings
    if session.view in settings.idle():
        session.view = "soft"


def _view(session: Session, action: dict, files: Files) -> None:
    check_choice("view", action["name"], VIEWS)
    if reason := session.settings.idle().get(action["name"]):
        raise ValueError(f"view: {action['name']}: {reason}")
    session.view = action["name"]


def _save(session: Session, action: dict, files: Files) -> dict[str, bytes]:
    painting = session.painting
    content = painting.strokes_json() if action["kind"] == "json" else painting.seeds_png()
    session.unsaved = session.unsaved and session.folder is not None
    return {f"{painting.name}_scribbles.{action['kind']}": content}


def _export(session: Session, action: dict, files: Files) -> dict[str, bytes]:
    from PIL import Image

    if session.labels is None:
        raise ValueError("nothing to export yet: paint a stroke in each of two classes first")
    painting, file, labels = session.painting, io.BytesIO(), session.full_labels()
    if action["kind"] == "npz":
        np.savez_compressed(file, labels=labels[0].float().cpu().numpy(), classes=np.array(painting.classes))
        return {f"{painting.name}_labels.npz": file.getvalue()}
    drawn = picture(painting.sample, labels, session.view, tints(painting))
    Image.fromarray(drawn).save(file, format="PNG")
    return {f"{painting.name}_{session.view}.png": file.getvalue()}


def _nothing(session: Session, action: dict, files: Files) -> None:
    """Change nothing: the page has just opened, or wants the whole solution or small pictures."""


#: What the page may request.
REQUESTS: dict[str | None, Callable[[Session, dict, Files], dict[str, bytes] | None]] = {
    "show": _nothing, "settle": _nothing, "thumbnails": _nothing, "piece": _piece,
    "photo": _photo, "upload": _upload, "go": _go, "load": _load, "restore": _restore,
    "stroke": _stroke, "polygon": _polygon, "fill": _fill, "undo": _undo, "redo": _redo, "clear": _clear,
    "class": _add_class, "rename": _rename_class, "recolor": _color_class, "remove": _remove_class,
    "set": _set, "view": _view, "save": _save, "export": _export,
}  # fmt: skip
