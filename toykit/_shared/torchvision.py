"""Import torchvision, or raise an error that states how to install one that works."""

from types import ModuleType


def torchvision() -> ModuleType:
    """Import torchvision with its `datasets`, `models`, `transforms.v2` and `tv_tensors`.

    Returns
    -------
    module
        `torchvision`.

    Raises
    ------
    ImportError
        If it is missing, or was built for another torch (its operators are then missing: "operator torchvision::nms does not
        exist"). The message states the remedy.
    """
    try:
        import torchvision.datasets
        import torchvision.models
        import torchvision.transforms.v2
        import torchvision.tv_tensors
    except ModuleNotFoundError as error:
        raise ImportError(f"{error}; it comes with the notebooks extra: pip install 'toykit[notebooks]'") from error
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            f"torchvision does not fit this torch ({error}); install both together and from the same index: "
            "pip install --force-reinstall torch torchvision"
        ) from error
    return torchvision
