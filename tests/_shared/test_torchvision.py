"""torchvision arrives whole, or the error says how to mend it."""

import builtins

import pytest

from toykit._shared.torchvision import torchvision


def test_the_module():
    module = torchvision()
    assert module.__name__ == "torchvision"
    assert module.models.resnet18
    assert module.datasets.ImageFolder


@pytest.mark.parametrize(
    ("failure", "remedy"),
    [
        (ModuleNotFoundError("No module named 'torchvision'"), r"pip install 'toykit\[notebooks\]'"),
        (RuntimeError("operator torchvision::nms does not exist"), "nms does not exist.* from the same index"),
    ],
)
def test_the_error_says_what_to_do(failure, remedy, monkeypatch):
    real = builtins.__import__

    def broken(name, *arguments):
        if name.startswith("torchvision"):
            raise failure
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(ImportError, match=remedy):
        torchvision()
