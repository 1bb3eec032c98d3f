"""Block-wise labels: squares that cover their share, chosen by seed and name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toykit.supervision import blocks


@given(
    st.integers(5, 60), st.integers(5, 60), st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 9), st.integers(2, 9)
)
def test_blocks_cover_their_share(height, width, share, other, seed, side):
    mask = np.arange(height * width).reshape(height, width).astype(np.uint8) % 7
    seeds = blocks(mask, share, "x", seed, side)
    inside = seeds != 255
    assert share * mask.size - 1e-9 <= inside.sum() < share * mask.size + side**2
    assert np.array_equal(seeds[inside], mask[inside])
    small, large = (blocks(mask, s, "x", seed, side) != 255 for s in sorted((share, other)))
    assert not (small & ~large).any()


def test_blocks_are_squares_that_seed_and_name_choose():
    mask = np.zeros((48, 60), np.uint8)
    mask[:, 30:] = 255
    seeds = blocks(mask, 0.5, "x", 0)
    assert (seeds[mask == 255] == 255).all()  # void stays
    whole = [blocks(np.zeros((48, 60), np.uint8), 0.2, name, seed) for name, seed in (("x", 0), ("y", 0), ("x", 1))]
    assert len({w.tobytes() for w in whole}) == 3
    edges = np.diff((whole[0] == 0).astype(int), axis=1)
    assert len(set(np.nonzero(edges)[1] % 4)) == 1  # all columns where a block begins or ends are on one grid
    assert (blocks(mask, 1, "x") == mask).all()
    for share in (0, 1.2):
        with pytest.raises(ValueError, match=r"share: expected a number in \(0, 1\]"):
            blocks(mask, share, "x")
    with pytest.raises(ValueError, match="block: expected a whole number, at least 1; got 0"):
        blocks(mask, 0.5, "x", block=0)
