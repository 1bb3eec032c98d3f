"""torchvision, or an error that says how to get a working one."""

from types import ModuleType


def torchvision() -> ModuleType:
    """The module `torchvision`, with `datasets`, `models`, `transforms.v2` and `tv_tensors` imported.

    Raises: ImportError that says what to do if it is missing, or was built for another torch (its operators are then
    missing: "operator torchvision::nms does not exist").
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
