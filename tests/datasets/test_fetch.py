"""Downloading VOC: the archives become the usual augmented set; tested on a tiny devkit and SBD."""

import tarfile

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.layouts import halves, photo, save
from scipy.io import savemat

from toykit.cli import main
from toykit.datasets import fetch, load
from toykit.datasets.fetch import assemble_voc
from toykit.supervision import Supervision


def make_archives(downloads):
    devkit, sbd = downloads / "VOCdevkit" / "VOC2012", downloads / "sbd"
    for number, name in enumerate(("v_train", "v_val", "s_both", "s_new", "s_other")):
        save(devkit / "JPEGImages" / f"{name}.jpg", photo(number))
    for name, label in (("v_train", 1), ("v_val", 2)):
        save(devkit / "SegmentationClass" / f"{name}.png", halves(0, label))
    (devkit / "ImageSets" / "Segmentation").mkdir(parents=True)
    (devkit / "ImageSets" / "Segmentation" / "train.txt").write_text("v_train\n")
    (devkit / "ImageSets" / "Segmentation" / "val.txt").write_text("v_val\n")
    (sbd / "cls").mkdir(parents=True)
    for name, label in (("v_train", 9), ("v_val", 9), ("s_both", 3), ("s_new", 4)):
        savemat(sbd / "cls" / f"{name}.mat", {"GTcls": {"Segmentation": halves(0, label)}})
    (sbd / "train.txt").write_text("v_val\ns_both\n")
    (sbd / "val.txt").write_text("s_new\nv_train\n")
    return devkit, sbd


def test_voc_and_sbd_become_the_augmented_set(tmp_path):
    devkit, sbd = make_archives(tmp_path / "downloads")
    assemble_voc(devkit, sbd, tmp_path / "VOC2012")
    train = load("voc", "train", tmp_path / "VOC2012", Supervision("full"))
    assert train.ids == ("s_both", "s_new", "v_train")
    assert [s.mask.max(where=s.mask < 255, initial=0) for s in train] == [3, 4, 1]  # VOC's own mask where it has one
    val = load("voc", "val", tmp_path / "VOC2012")
    assert val.ids == ("v_val",)
    assert np.array_equal(val[0].mask, halves(0, 2))
    (sbd / "cls" / "s_new.mat").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"s_new\.mat: not a mask of SBD"):
        assemble_voc(devkit, sbd, tmp_path / "again")


def test_the_command_downloads_by_torchvision(tmp_path, monkeypatch):
    import torchvision.datasets

    calls = []

    def voc(root, **options):
        calls.append(("voc", options))
        if len(calls) == 1:
            make_archives(tmp_path / "VOC2012-downloads")

    monkeypatch.setattr(torchvision.datasets, "VOCSegmentation", voc)
    monkeypatch.setattr(torchvision.datasets, "SBDataset", lambda root, **options: calls.append(("sbd", options)))
    monkeypatch.setenv("TOYKIT_DATA", str(tmp_path))
    result = CliRunner().invoke(main, ["data", "fetch", "voc"])
    assert result.exit_code == 0, result.output
    assert calls[0] == ("voc", {"year": "2012", "image_set": "train", "download": True})
    assert calls[1][0] == "sbd"
    assert "not fetched: the scribbles" in result.output
    assert len(load("voc", "train", supervision=Supervision("full"))) == 3
    again = CliRunner().invoke(main, ["data", "fetch", "voc"])
    assert again.exit_code == 1
    assert "holds the set already" in again.output
    listed = tmp_path / "VOC2012" / "ImageSets" / "SegmentationAug" / "train_aug.txt"
    listed.unlink()  # interrupted just before its last file
    resumed = CliRunner().invoke(main, ["data", "fetch", "voc"])
    assert resumed.exit_code == 0, resumed.output
    assert listed.exists()


@pytest.mark.parametrize("kind", ["path", "link", "hard link", "device"])
def test_an_archive_that_leads_out_of_its_folder_is_refused(kind, tmp_path):
    """As torchvision unpacks it; published archives are checked against their checksums before."""
    from torchvision.datasets.utils import extract_archive

    member = tarfile.TarInfo("../up" if kind == "path" else "inside")
    member.type = {"path": tarfile.REGTYPE, "link": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE}.get(
        kind, tarfile.CHRTYPE
    )
    member.linkname = "../../etc"
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(member)
    inside = tmp_path / "out" / "it"
    inside.mkdir(parents=True)
    before = tarfile.TarFile.extraction_filter
    with pytest.raises(ValueError, match="an archive is not the published one"), fetch._unpacking_inside_only(inside):
        extract_archive(str(tmp_path / "a.tar"), str(inside))
    assert tarfile.TarFile.extraction_filter is before
    assert not any(path.name in ("up", "inside") for path in tmp_path.rglob("*"))


def test_a_torchvision_that_does_not_fit_is_a_message(tmp_path, monkeypatch):
    def fail():
        raise ImportError("torchvision does not fit this torch")

    monkeypatch.setattr(fetch, "torchvision", fail)
    result = CliRunner().invoke(main, ["data", "fetch", "voc", str(tmp_path / "VOC2012")])
    assert result.exit_code == 1
    assert result.output == "Error: torchvision does not fit this torch\n"


def test_no_network_is_a_message(tmp_path, monkeypatch):
    import torchvision.datasets

    def fail(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torchvision.datasets, "VOCSegmentation", fail)
    result = CliRunner().invoke(main, ["data", "fetch", "voc", str(tmp_path / "VOC2012")])
    assert result.exit_code == 1
    assert "no route to host" in result.output
