"""Valid trees and bytes with parts changed: a reader must read each of them, or refuse it and name it.

With TOYKIT_FUZZ=N each reader gets N examples.
"""

import copy
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("TOYKIT_FUZZ", "60"))
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 60,
    suppress_health_check=list(HealthCheck),
    database=None,
)

#: Values that parsers are seldom written for.
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=8), st.just("../../up"),
    st.just("/tmp/up.jpg"), st.just("a\x00b"), st.just("x" * 300), st.just(10**400), st.lists(st.integers(-3, 300), max_size=5),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


def places(tree, path=()):
    """List the paths to all values of nested lists and dicts."""
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [(*path, key) for key, _ in inside] + [place for key, part in inside for place in places(part, (*path, key))]


@st.composite
def spoiled_tree(draw, valid):
    """A tree of JSON with one to three values replaced or removed."""
    tree = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        found = places(tree)
        if not found:
            break
        *parents, last = draw(st.sampled_from(found))
        inside = tree
        for key in parents:
            inside = inside[key]
        if draw(st.booleans()):
            inside[last] = draw(ODD)
        else:
            del inside[last]
    return tree


@st.composite
def spoiled_bytes(draw, valid):
    """Bytes with up to four of them changed, cut at a place, or with a part repeated."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(0, 4))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    kind, at = draw(st.sampled_from(["whole", "cut", "twice"])), draw(st.integers(0, len(content)))
    return bytes(content if kind == "whole" else content[:at] if kind == "cut" else content + content[at:])


def attempt(words, call, *arguments):
    """Return the call's result, or None where it refuses its input with these words."""
    try:
        return call(*arguments)
    except ValueError as error:
        message = str(error)
    assert words in message, message
    return None
