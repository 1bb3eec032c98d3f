"""A question to guess at: every option says whether it is right and why, and the figure is folded, as a PNG."""

import re
from base64 import b64decode
from io import BytesIO

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from toykit.course.guess import guess


def test_options_and_figure_are_folded():
    figure, _ = plt.subplots(figsize=(3, 2))
    page = guess("Which is < 1?", {"A": "Too large.", "B & C": "Both are."}, "B & C", figure).data
    assert "Which is &lt; 1?" in page
    folds = re.findall(r"<details[^>]*><summary[^>]*>(.*?)</summary>(.*?)</details>", page)
    assert [name for name, _ in folds] == ["A", "B &amp; C", "Show the figure"]
    assert [text for _, text in folds[:2]] == ["<b>No.</b> Too large.", "<b>Right.</b> Both are."]
    picture = Image.open(BytesIO(b64decode(re.search(r"base64,([^\"]+)", folds[2][1])[1])))
    assert picture.format == "PNG"
    assert picture.width > picture.height > 50
    assert not plt.fignum_exists(figure.number)
    assert "open" not in re.findall(r"<details([^>]*)>", page)[0]


def test_the_right_option_must_exist():
    with pytest.raises(ValueError, match="right: expected one of A, B"):
        guess("Which?", {"A": "", "B": ""}, "C", plt.figure())
