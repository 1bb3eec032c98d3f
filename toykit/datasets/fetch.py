"""Download PASCAL VOC 2012 with SBD's masks by torchvision, and write them in the layout that `voc` reads.

The list train_aug is the usual training set, also the paper's (section 3). It joins VOC's 1,464 training images with VOC's
masks and those images of SBD that are in neither of VOC's lists (train, val) with SBD's masks: 10,582 images together.
"""

import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from toykit._shared.files import write_atomically, write_text
from toykit._shared.torchvision import torchvision
from toykit.datasets.layout import read_list
from toykit.supervision import read_indexed_png, write_seeds

#: The files that `fetch_voc` does not download, and where to get them.
NOT_FETCHED = (
    "not fetched: the scribbles (ScribbleSup; its authors' page: https://jifengdai.org/downloads/scribble_sup/): put the "
    "XML files into scribbles/, or the PNG sets beside it (pascal_2012_scribble/, pascal_2012_scribble_0.5/, ...). "
    "Without them train on simulated scribbles."
)


def fetch_voc(root: Path, say: Callable[[str], object] = print) -> None:
    """Download both archives and write the layout of `voc`.

    Archives that exist already are not downloaded again; after an interruption, the same call resumes.

    Parameters
    ----------
    root : Path
        The folder to write. The archives go into a folder beside it (several GB).
    say : callable, default print
        Called with each message.

    Raises
    ------
    ValueError
        If `root` already holds a set, or an archive would write outside of its folder.
    OSError
        From torchvision, for example without a network.
    """
    sets = torchvision().datasets

    if (root / "ImageSets" / "SegmentationAug" / "train_aug.txt").exists():  # the last file that is written
        raise ValueError(f"{root}: holds the set already; check it with: toykit data check voc {root}")
    downloads = root.parent / f"{root.name}-downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    sbd = downloads / "sbd"
    with _unpacking_inside_only(downloads):
        say(f"VOC 2012 into {downloads}")
        sets.VOCSegmentation(str(downloads), year="2012", image_set="train", download=True)
        say(f"SBD into {downloads}")
        sets.SBDataset(str(sbd), image_set="train", mode="segmentation", download=not (sbd / "cls").is_dir())
    assemble_voc(downloads / "VOCdevkit" / "VOC2012", sbd, root)
    say(f"{root} is complete; {downloads} may be deleted")
    say(NOT_FETCHED)


@contextmanager
def _unpacking_inside_only(folder: Path) -> Iterator[None]:
    """Refuse paths, links and devices in archives that lead out of the folder; torchvision unpacks without a filter."""
    if not hasattr(tarfile, "data_filter"):
        raise ValueError("unpacking safely needs Python 3.10.12, 3.11.4 or newer")
    before = vars(tarfile.TarFile).get("extraction_filter")
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        yield
    except tarfile.FilterError as error:
        raise ValueError(
            f"{folder}: an archive is not the published one ({error}); delete it and start anew"
        ) from error
    finally:
        tarfile.TarFile.extraction_filter = before


def assemble_voc(devkit: Path, sbd: Path, root: Path) -> None:
    """Write the layout of `voc` from unpacked archives: photos and masks first, the lists last.

    Parameters
    ----------
    devkit : Path
        The unpacked VOC2012 devkit.
    sbd : Path
        The unpacked SBD (cls/ID.mat, train.txt, val.txt).
    root : Path
        The folder to write.

    Raises
    ------
    FileNotFoundError
        If a file of the archives is missing; names it.
    ValueError
        If a file is faulty; names it.
    """
    from scipy.io import loadmat

    lists = devkit / "ImageSets" / "Segmentation"
    train, val = read_list(lists / "train.txt"), read_list(lists / "val.txt")
    from_sbd = set(read_list(sbd / "train.txt") + read_list(sbd / "val.txt")) - set(train) - set(val)
    for name in (*train, *val, *sorted(from_sbd)):
        photo = root / "JPEGImages" / f"{name}.jpg"
        source = devkit / "JPEGImages" / photo.name
        if not photo.exists():
            with source.open("rb") as opened:
                write_atomically(photo, lambda file, opened=opened: shutil.copyfileobj(opened, file))
        if name in from_sbd:
            path = sbd / "cls" / f"{name}.mat"
            try:
                mask = loadmat(path)["GTcls"][0, 0]["Segmentation"].astype(np.uint8)
            except FileNotFoundError:
                raise
            except Exception as error:  # the reader of MAT files raises many kinds of errors on a damaged file
                raise ValueError(f"{path}: not a mask of SBD ({type(error).__name__}: {error})") from error
        else:
            mask = read_indexed_png(devkit / "SegmentationClass" / f"{name}.png")
        write_seeds(root / "SegmentationClassAug" / f"{name}.png", mask)
    for listed, names in (("val", val), ("train_aug", sorted({*train, *from_sbd}))):
        path = root / "ImageSets" / "SegmentationAug" / f"{listed}.txt"
        write_text(path, "".join(f"{name}\n" for name in names))
