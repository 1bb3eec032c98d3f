"""torchvision, or an error that says how to get a working one."""

from types import ModuleType


def torchvision() -> ModuleType:
    """The module `torchvision`, with `datasets`, `models` and `transforms` imported.

    Raises: ImportError that says what to do if it is missing, or was built for another torch (its operators are then
    missing: "operator torchvision::nms does not exist").
    """
    try:
        import torchvision.datasets
        import torchvision.models
        import torchvision.transforms
    except ModuleNotFoundError as error:
        raise ImportError(f"{error}; training needs the train extra: pip install 'toykit[train]'") from error
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            f"torchvision does not fit this torch ({error}); install both together and from the same index: "
            "pip install --force-reinstall torch torchvision"
        ) from error
    return torchvision
