"""What is suspicious about seeds and masks: one definition for `toykit segment`, the painter, `toykit data check` and `train`.

Each function returns what it found as one sentence or more, which name what was found and the likely cause. Whoever reads a
single photo's seeds refuses those that `fatal_findings` returns and shows the others; a set reports all of them.
"""

from collections.abc import Sequence

import numpy as np

from toykit.conventions import PADDING, UNLABELLED
from toykit.supervision.strokes import Scribbles, shares_instead_of_pixels

#: An id that covers at most this many pixels is suspicious in a map where another covers at least PLENTY.
HANDFUL, PLENTY = 5, 100
#: Shares of the pixels above and below which a class, and the unlabelled pixels, suggest that they were confused.
MOST, FEW = 0.8, 0.05


class SeedWarning(UserWarning):
    """Seeds or masks can be used but look as if something else was meant."""


def fatal_findings(ids: np.ndarray) -> list[str]:
    """Return why a drawn map cannot be used as the seeds of a photo.

    Parameters
    ----------
    ids : ndarray, shape (H, W), uint8
        The map: class ids, 254 (padding) or 255 (unlabelled).

    Returns
    -------
    list of str
        Empty if it can be used.
    """
    odd, used = odd_ids(ids), np.unique(ids[ids != UNLABELLED])
    if len(odd) < 3 or 2 * len(odd) < len(used):
        return []
    return [
        f"{len(odd)} of {len(used)} ids look like the soft edges of strokes, not like classes ({_some(odd)}: they lie between "
        f"other ids, or cover at most {HANDFUL} pixels beside them{_padding_too(odd)}); draw with a hard pencil, without "
        "anti-aliasing, and resize by nearest neighbour"
    ]


def _nothing_unlabelled(ids: np.ndarray) -> str:
    """Describe a map (H, W) without an unlabelled pixel: its most frequent id may stand for "no label"."""
    counts = np.bincount(ids.ravel(), minlength=256)
    first = int(counts[:PADDING].argmax())  # 254 is padding, which is never "no label"
    return (
        f"no pixel is unlabelled ({UNLABELLED}); the map holds {_some(np.flatnonzero(counts))}, and {first} covers "
        f"{counts[first] / ids.size:.1%} of the pixels. Is {first} your unlabelled? Then pass --unlabelled {first} "
        f"(training: supervision.unlabelled={first}), or save these pixels as {UNLABELLED}"
    )


def edge_findings(ids: np.ndarray) -> list[str]:
    """Return which ids of a map look like soft edges; the likely cause of ids that are no class.

    Parameters
    ----------
    ids : ndarray, shape (H, W), uint8
        A drawn map or a mask.

    Returns
    -------
    list of str
        That of `fatal_findings` if there are many.
    """
    fatal = fatal_findings(ids)
    odd = [] if fatal else odd_ids(ids)
    if not odd:
        return fatal
    return [
        f"id{'s' * (len(odd) > 1)} {_some(odd)} may be soft edges of strokes: they lie between other ids, or cover at most "
        f"{HANDFUL} pixels beside them{_padding_too(odd)}"
    ]


def map_findings(ids: np.ndarray) -> list[str]:
    """Return what is suspicious about a drawn map that can be used.

    Parameters
    ----------
    ids : ndarray, shape (H, W), uint8
        The map: class ids, 254 (padding) or 255 (unlabelled).

    Returns
    -------
    list of str
    """
    findings, odd = [], odd_ids(ids)
    counts = np.bincount(ids.ravel(), minlength=256)
    free, labels = counts[UNLABELLED], counts[:PADDING]
    first = int(labels.argmax())
    if not free:
        findings.append(_nothing_unlabelled(ids))
    elif free < FEW * ids.size and labels[first] > MOST * ids.size:
        findings.append(
            f"only {free / ids.size:.1%} of the pixels are unlabelled ({UNLABELLED}), and id {first} covers "
            f"{labels[first] / ids.size:.1%}; if {first} means no label, pass --unlabelled {first}"
        )
    findings += edge_findings(ids)
    rare = [int(k) for k in np.flatnonzero(labels) if labels[k] <= HANDFUL and int(k) not in odd]
    if rare and labels.max() >= PLENTY:
        findings.append(
            f"{', '.join(f'id {k} covers {labels[k]} pixels' for k in rare[:8])}: a click, or stray pixels of a drawing program"
        )
    return findings


def odd_ids(ids: np.ndarray) -> list[int]:
    """Return the ids of a map (H, W) that look like soft edges: between a lower and a higher id, or rare and beside others."""
    values, between = ids.astype(np.int16), np.zeros(ids.shape, bool)
    for across, inner in ((values, between), (values.T, between.T)):
        before, here, after = across[:-2], across[1:-1], across[2:]
        inner[1:-1] |= ((before < here) & (here < after)) | ((before > here) & (here > after))
    counts = np.bincount(ids.ravel(), minlength=256)
    blended = np.bincount(ids[between], minlength=256)
    odd = [k for k in range(UNLABELLED) if counts[k] and 2 * blended[k] >= counts[k]]
    if counts[:PADDING].max() >= PLENTY:
        rare = [k for k in range(PADDING) if 0 < counts[k] <= HANDFUL and k not in odd]
        odd += [k for k in rare if _touches(ids, k)]
    return sorted(odd) if any(k != PADDING for k in odd) else []


def _touches(ids: np.ndarray, k: int) -> bool:
    """Return whether most pixels of an id have a neighbour of another class."""
    places = np.argwhere(ids == k)
    windows = [ids[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] for row, column in places]
    return 2 * sum(bool(((window != k) & (window < PADDING)).any()) for window in windows) >= len(places)


def class_findings(seeds: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Return what the seeds of one photo lack: a second class, declared classes, seeds in a part that padding cuts off.

    Parameters
    ----------
    seeds : ndarray, shape (H, W), uint8
        Class ids, 254 (padding) or 255 (unlabelled).
    classes : sequence of str
        Names of the classes that were declared, by id; an empty name was not declared.

    Returns
    -------
    list of str
    """
    present = [k for k in range(len(classes)) if (seeds == k).any()]
    absent = [name for k, name in enumerate(classes) if name and k not in present]
    findings = []
    if len(present) == 1:
        name = classes[present[0]] or f"class {present[0]}"
        lacking = f" (none of {_some(absent)})" if absent else ""
        reserved = "" if any(classes) else f"; {UNLABELLED} is unlabelled, not a class"
        findings.append(
            f"only one class has seeds, {name}, so all pixels get it{lacking}{reserved}; draw a stroke in a second class"
        )
    elif absent and present:
        findings.append(f"no seed of {_some(absent)}")
    if present and (seeds == PADDING).any():
        from scipy import ndimage

        parts, _ = ndimage.label(seeds != PADDING)  # pyright: ignore[reportGeneralTypeIssues] # scipy's stub returns int
        cut_off = (seeds != PADDING) & ~np.isin(parts, np.unique(parts[seeds < PADDING]))
        if cut_off.any():
            findings.append(
                f"{int(cut_off.sum())} pixels are cut off by padding ({PADDING}) and hold no seed, so no seed reaches them: "
                f"draw a stroke there, mark them as padding, or keep the unary term (not --unary none)"
            )
    return findings


def stroke_findings(scribbles: Scribbles) -> list[str]:
    """Return which strokes lie outside of the photo, wholly or partly, and whether coordinates are in 0..1 instead of pixels.

    Parameters
    ----------
    scribbles : Scribbles

    Returns
    -------
    list of str
    """
    (width, height), wholly, partly = scribbles.size, [], []
    for number, stroke in enumerate(scribbles.strokes):
        (left, top), (right, bottom) = np.min(stroke.points, axis=0), np.max(stroke.points, axis=0)
        margin = max(stroke.width / 2, 1)  # the pen often leaves the photo by its own width
        if min(left, top) >= -margin and right <= width - 1 + margin and bottom <= height - 1 + margin:
            continue
        canvas = np.zeros((height, width), np.uint8)
        stroke.draw_on(canvas, 1)
        text = f"stroke {number} ({stroke.label or 'eraser'}; x {left:g}..{right:g}, y {top:g}..{bottom:g})"
        (partly if canvas.any() else wholly).append(text)
    shares = shares_instead_of_pixels(
        [point for stroke in scribbles.strokes for point in stroke.points], scribbles.size
    )
    return [shares] * bool(shares) + [
        f"{_some(texts)} {'lie' if len(texts) > 1 else 'lies'} {how}outside of the photo of {width} x {height} pixels; are the "
        "coordinates those of another size of it?"
        for texts, how in ((wholly, ""), (partly, "partly "))
        if texts
    ]


def _padding_too(odd: list[int]) -> str:
    """Add what 254 means, if it is among odd ids."""
    return f"; {PADDING} would mean padding" if PADDING in odd else ""


def _some(items: Sequence | np.ndarray, most: int = 8) -> str:
    """List at most a few items."""
    return ", ".join(map(str, items[:most])) + (" ..." if len(items) > most else "")
