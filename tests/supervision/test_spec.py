"""The supervision's options: values outside the choices and ranges are refused."""

import pytest

from toykit.supervision import Supervision


@pytest.mark.parametrize(
    "bad", [{"kind": "boxes"}, {"ratio": -0.1}, {"ratio": 1.1}, {"width": 0}, {"share": 0}, {"share": 2}]
)
def test_an_impossible_choice_is_refused(bad):
    with pytest.raises(ValueError, match=f"supervision {next(iter(bad))}: expected"):
        Supervision(**bad)
