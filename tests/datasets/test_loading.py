"""Every set of photos and masks, generated in exactly its published layout, and the real one where it is available."""

import pickle

import numpy as np
import pytest
import torch
from helpers.layouts import HEIGHT, MAKERS, WIDTH, make_ade20k, make_camvid, make_cityscapes, make_folder, make_voc

from toykit._shared.resources import data_root
from toykit.datasets import KINDS, check, checks, cityscapes, load, segmentation_set, voc
from toykit.supervision import Supervision, read_scribblesup, seed_files, simulate

FULL = Supervision("full")

#: For each kind: number of training images, number of classes, and the ids of the left and the right half.
EXPECTED = {"voc": (3, 21, 0, 8), "cityscapes": (2, 19, 0, 18), "ade20k": (2, 150, 0, 149), "camvid": (2, 11, 0, 10)}


@pytest.fixture(params=EXPECTED)
def made(request, tmp_path):
    MAKERS[request.param](tmp_path)
    return request.param, tmp_path


def test_a_published_layout_is_read(made):
    kind, root = made
    count, classes, left, right = EXPECTED[kind]
    dataset = load(kind, "train", root, FULL)
    assert (dataset.kind, dataset.split) == (kind, "train")
    assert (len(dataset), len(dataset.ids), len(dataset.classes)) == (count, count, classes)
    assert len(set(dataset.classes)) == classes
    sample = dataset[0]
    assert (sample.name, sample.classes) == (dataset.ids[0], dataset.classes)
    assert sample.image.shape == (HEIGHT, WIDTH, 3)
    assert sample.mask.dtype == sample.seeds.dtype == np.uint8
    assert (sample.mask[:, : WIDTH // 2] == left).all()
    assert (sample.mask[:, WIDTH // 2] == 255).all()
    assert (sample.mask[:, WIDTH // 2 + 1 :] == right).all()
    assert np.array_equal(sample.seeds, sample.mask)
    assert len(load(kind, "val", root)) in (1, 2)
    assert [s.name for s in dataset] == list(dataset.ids)  # ends with an IndexError
    assert dataset[-1].name == dataset.ids[-1]
    for wrong in (count, -count - 1):
        with pytest.raises(IndexError):
            dataset[wrong]
    with pytest.raises(TypeError):
        dataset["0"]


def test_generated_supervision_and_workers(made):
    kind, root = made
    for supervision in (Supervision("simulated"), Supervision("simulated", ratio=0.3), Supervision("simulated", width=1),
                   Supervision("simulated", seed=1), Supervision("blocks"), Supervision("blocks", share=0.1),
                   Supervision("blocks", seed=1)):  # fmt: skip
        dataset = load(kind, "train", root, supervision)
        sample = dataset[1]
        seeded = sample.seeds != 255
        assert 0 < seeded.sum() < 0.6 * seeded.size
        assert np.array_equal(sample.seeds[seeded], sample.mask[seeded])
        assert np.array_equal(pickle.loads(pickle.dumps(dataset))[1].seeds, sample.seeds)
        if supervision not in (Supervision("simulated"), Supervision("blocks")):
            plain = load(kind, "train", root, Supervision(supervision.kind))[1]
            assert not np.array_equal(plain.seeds, sample.seeds)


def test_simulated_scribbles_are_drawn_once(tmp_path, monkeypatch):
    make_voc(tmp_path)
    dataset = load("voc", "train", tmp_path, Supervision("simulated"))
    calls = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # the folder of stored seeds
    monkeypatch.setattr(seed_files, "simulate", lambda *a: calls.append(a) or simulate(*a))
    first = dataset[1].seeds
    again = dataset[1].seeds
    assert len(calls) == 1
    assert np.array_equal(first, again)
    again[:] = 0  # the caller may change a sample
    assert np.array_equal(dataset[1].seeds, first)
    assert sum(map(len, dataset._simulated.values())) < first.size / 10
    assert not np.array_equal(dataset[2].seeds, first)
    swapped = segmentation_set.subset(dataset, [2, 1])  # in another set, a position is another image
    assert np.array_equal(swapped[0].seeds, dataset[2].seeds)
    assert len(calls) == 2  # the other set's seeds were on disk


def test_a_data_loader_with_a_worker_reads_it(tmp_path):
    make_camvid(tmp_path)
    dataset = load("camvid", "train", tmp_path, Supervision("simulated"))
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context="fork")
    for sample, expected in zip(loader, dataset, strict=True):
        assert np.array_equal(np.asarray(sample.seeds), expected.seeds)


def test_vocs_scribbles(tmp_path):
    make_voc(tmp_path)
    drawn = {ratio: load("voc", "train", tmp_path, Supervision(ratio=ratio))[0].seeds for ratio in (1, 0.5, 0, 0.25)}
    # the last is drawn from XML: strokes of "cat"
    assert [int((seeds == 0).sum()) for seeds in drawn.values()] == [20, 10, 1, 0]
    thin = load("voc", "train", tmp_path, Supervision(width=1))[1]  # only XML has strokes of that width
    expected = read_scribblesup(tmp_path / "scribbles" / "2007_000002.xml", voc.CLASSES, 1).draw((WIDTH, HEIGHT))
    assert np.array_equal(thin.seeds, expected)
    assert (thin.seeds == 12).any()
    whole = read_scribblesup(tmp_path / "scribbles" / "2007_000001.xml", voc.CLASSES)
    assert np.array_equal(drawn[0.25], whole.shorten(0.25).draw((WIDTH, HEIGHT)))
    assert len(np.unique(load("voc", "val", tmp_path)[0].seeds)) == 3  # full masks by default


def test_vocs_clicks(tmp_path):
    make_voc(tmp_path)
    seeds = load("voc", "train", tmp_path, Supervision("clicks"))[2].seeds
    assert (seeds[7, 4], seeds[9, 40]) == (0, 8)
    assert 10 < (seeds != 255).sum() < 40
    assert (load("voc", "train", tmp_path, Supervision("clicks", width=1))[2].seeds != 255).sum() < 10


def test_cityscapes_train_ids_are_preferred(tmp_path):
    make_cityscapes(tmp_path, train_ids=True)
    dataset = load("cityscapes", "train", tmp_path, FULL)
    assert dataset.entries[0].mask.name.endswith("_labelTrainIds.png")
    assert np.unique(dataset[0].mask).tolist() == [0, 18, 255]
    assert dataset.ids[1] == "bochum_000001_000019"
    lookup = load("cityscapes", "train", tmp_path, FULL).table
    assert [name for name, k in cityscapes.LABEL_IDS.items() if k == 26] == ["car"]
    assert lookup[18] == 18


def test_ade20k_has_names(tmp_path):
    make_ade20k(tmp_path)
    dataset = load("ade20k", "val", tmp_path)
    assert dataset.classes[:2] == ("thing 1", "thing 2")
    assert (dataset.classes[14], dataset.classes[58]) == ("door (14)", "door (58)")
    (tmp_path / "objectInfo150.txt").write_text("Idx\tName\n1\twall\n")
    with pytest.raises(ValueError, match=r"objectInfo150\.txt: expected 150 rows"):
        load("ade20k", "val", tmp_path)
    (tmp_path / "objectInfo150.txt").unlink()
    assert load("ade20k", "val", tmp_path).classes[149] == "class 149"


def test_a_users_folder(tmp_path):
    make_folder(tmp_path)
    dataset = load("folder", "train", tmp_path)
    assert (dataset.ids, dataset.classes) == (("a", "b", "c"), ("sky", "cat", "road"))
    a, b, c = dataset
    assert a.mask is None
    assert (a.seeds[3:6, 4:20] == 1).all()
    assert (a.seeds[-1] == 254).all()  # padding stays padding
    assert (b.seeds[4:7, 5:40] == 1).all()  # classes are matched by name
    assert (b.seeds[30, 5:40] == 0).all()
    assert np.unique(c.mask).tolist() == [0, 1, 2, 255]
    assert load("folder", "val", tmp_path).ids == ("c",)
    assert check("folder", tmp_path) == []
    with pytest.raises(ValueError, match=r"a\.png: a drawn map cannot be shortened to ratio 0\.5"):
        load("folder", "train", tmp_path, Supervision(ratio=0.5))
    with pytest.raises(ValueError, match="scribbles carry their own width"):
        load("folder", "train", tmp_path, Supervision(width=1))
    with pytest.raises(ValueError, match=r"a\.png: has no mask"):
        load("folder", "train", tmp_path, FULL)[0]
    (tmp_path / "train.txt").write_text("c\nb\n")
    shorter = load("folder", "train", tmp_path, Supervision(ratio=0.5))
    assert shorter.ids == ("c", "b")
    assert 0 < (shorter[1].seeds != 255).sum() < 0.7 * (b.seeds != 255).sum()
    assert load("folder", "train", tmp_path, only=("road", "sky"), others="sky")[0].classes == ("sky", "road")
    (tmp_path / "train.txt").write_text("c\nz\n")
    with pytest.raises(FileNotFoundError, match=r"train\.txt: no picture in images/ for z"):
        load("folder", "train", tmp_path)
    (tmp_path / "classes.txt").write_text("sky\nsky\n")
    with pytest.raises(ValueError, match=r"classes\.txt: expected 2 to 254 different class names"):
        load("folder", "train", tmp_path)


def test_files_from_other_systems(tmp_path):
    """File names with spaces, a byte order mark, and macOS's ._NAME beside each file."""
    make_folder(tmp_path)
    for path in (tmp_path / "images" / "b.jpg", tmp_path / "scribbles" / "b.json"):
        path.rename(path.with_stem("my b"))
    (tmp_path / "images" / "._my b.jpg").write_bytes(b"not a picture")
    (tmp_path / "classes.txt").write_text("sky\ncat\nroad\n", encoding="utf-8-sig")
    assert load("folder", "train", tmp_path).ids == ("a", "c", "my b")
    (tmp_path / "train.txt").write_text("my b\r\n c\n", encoding="utf-8-sig")
    dataset = load("folder", "train", tmp_path)
    assert (dataset.ids, dataset.classes) == (("my b", "c"), ("sky", "cat", "road"))
    assert (dataset[0].seeds != 255).any()


def test_only_some_classes(tmp_path):
    make_voc(tmp_path)
    dataset = load("voc", "train", tmp_path, FULL, only=("dog", "cat"))
    assert (dataset.classes, dataset.ids) == (("background", "cat", "dog"), ("2007_000001", "2007_000002"))
    assert [np.unique(s.mask).tolist() for s in dataset] == [[0, 1, 255], [0, 2, 255]]
    person = load("voc", "train", tmp_path, Supervision("scribbles", ratio=0.7), only=("person",))
    assert np.unique(person[0].seeds).tolist() == [1, 255]
    clicked = load("voc", "train", tmp_path, Supervision("clicks"), only=("dog",))  # the clicks are on cats
    assert np.unique(clicked[0].seeds).tolist() == [0, 255]
    with pytest.raises(ValueError, match=r"only: expected some of background, aeroplane.*; got unicorn"):
        load("voc", "train", tmp_path, FULL, only=("unicorn",))
    with pytest.raises(ValueError, match="only: no photo of voc train shows sheep"):
        load("voc", "train", tmp_path, FULL, only=("sheep",))


def test_limit_is_evenly_spread(tmp_path):
    make_voc(tmp_path)
    assert load("voc", "train", tmp_path, FULL, limit=2).ids == ("2007_000001", "2007_000002")
    assert len(load("voc", "train", tmp_path, FULL, limit=9)) == 3
    assert load("voc", "train", tmp_path, FULL, only=("person",), limit=1).ids == ("2008_000003",)
    with pytest.raises(ValueError, match="limit: expected a whole number, at least 1; got 0"):
        load("voc", "train", tmp_path, FULL, limit=0)


def test_missing_sets_and_files_are_reported(tmp_path, monkeypatch):
    make_camvid(tmp_path / "camvid")
    monkeypatch.setenv("TOYKIT_DATA", str(tmp_path))
    assert len(load("camvid", "test", supervision=FULL)) == 2  # the published folder's name under TOYKIT_DATA
    with pytest.raises(FileNotFoundError, match="camvid has no scribbles; choose simulated"):
        load("camvid", "train")
    with pytest.raises(FileNotFoundError, match=r"VOC2012: no such folder.*set TOYKIT_DATA"):
        load("voc", "train")
    with pytest.raises(FileNotFoundError, match="toykit data make toy"):
        load("toy", "train", tmp_path / "absent")
    with pytest.raises(ValueError, match="folder: give the root"):
        load("folder", "train")
    with pytest.raises(ValueError, match=r"kind: expected one of toy, voc, .*; got 'coco'"):
        load("coco", "train")
    with pytest.raises(ValueError, match="split: expected one of train, val; got 'test'"):
        load("voc", "test")
    make_voc(tmp_path / "VOC2012")
    for path in (tmp_path / "VOC2012").glob("scribbles/*"):
        path.unlink()
    (tmp_path / "VOC2012" / "scribbles").rmdir()
    with pytest.raises(
        FileNotFoundError, match=r"no scribbles of width 3 and ratio 0\.8: neither pascal_2012_scribble_0\.8"
    ):
        load("voc", "train", supervision=Supervision(ratio=0.8))


def test_every_kind_has_its_number_of_images():
    assert set(checks.COUNTS) == set(KINDS) - {"folder", "toy"}


@pytest.mark.parametrize("kind", ["voc", "camvid"])
def test_the_real_sets(kind):
    if not (data_root() / {"voc": "VOC2012", "camvid": "camvid"}[kind]).is_dir():
        pytest.skip(f"{kind} not dataset under TOYKIT_DATA")
    for split in ("train", "val"):
        dataset = load(kind, split, supervision=Supervision("blocks", share=0.2), limit=10)
        assert len(dataset) == 10
        for sample in dataset:
            assert sample.image.shape == (*sample.mask.shape, 3)
            assert set(np.unique(sample.mask)) <= {*range(len(dataset.classes)), 255}
    if kind == "voc":
        clicks = load(kind, "train", supervision=Supervision("clicks", width=1), limit=60)
        agree = [(s.seeds == s.mask)[(s.seeds != 255) & (s.mask != 255)] for s in clicks]
        assert np.concatenate(agree).mean() > 0.85
