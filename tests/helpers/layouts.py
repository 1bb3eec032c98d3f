"""Small sets of photos and masks, generated in exactly their published layouts."""

import json

import numpy as np
from PIL import Image

from toykit.supervision import Scribbles, Stroke, write_scribbles

HEIGHT, WIDTH = 40, 48


def save(path, values):
    """Write a photo (H, W, 3) or a map of ids (H, W) in the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def photo(seed):
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def halves(left, right, void=255):
    """Return a mask of two classes side by side, with a void column between them."""
    mask = np.full((HEIGHT, WIDTH), left, np.uint8)
    mask[:, WIDTH // 2 :] = right
    mask[:, WIDTH // 2] = void
    return mask


def make_voc(root):
    for split, names in (("train_aug", ("2007_000001", "2007_000002", "2008_000003")), ("val", ("2007_000009",))):
        (root / "ImageSets" / "SegmentationAug").mkdir(parents=True, exist_ok=True)
        (root / "ImageSets" / "SegmentationAug" / f"{split}.txt").write_text("\n".join(names) + "\n")
        for number, name in enumerate(names):
            save(root / "JPEGImages" / f"{name}.jpg", photo(number))
            save(root / "SegmentationClassAug" / f"{name}.png", halves(0, (8, 12, 15)[number]))
            if split == "val":
                continue
            (root / "scribbles").mkdir(exist_ok=True)
            # in pixels of a photo twice as large
            points = "".join(f"<point><X>{x}</X><Y>20</Y></point>" for x in (30, 30, 60, 90, 200))
            (root / "scribbles" / f"{name}.xml").write_text(
                f"<annotation><filename>{name}.jpg</filename><size><width>{2 * WIDTH}</width><height>{2 * HEIGHT}"
                f"</height></size><polygon><tag>{('cat', 'dog', 'person')[number]}</tag>{points}</polygon></annotation>"
            )
            for ratio in ("", "_0.5", "_0"):
                drawn = np.full((HEIGHT, WIDTH), 255, np.uint8)
                drawn[5, : {"": 20, "_0.5": 10, "_0": 1}[ratio]] = 0
                save(root / f"pascal_2012_scribble{ratio}" / f"{name}.png", drawn)
    clicks = {name: [{"x": 4, "y": 7, "cls": 0}, {"x": 40.5, "y": 9, "cls": 8, "rank": 1}]
              for name in ("2007_000001", "2007_000002", "2008_000003")}  # fmt: skip
    (root / "points.json").write_text(json.dumps(clicks))


def make_cityscapes(root, train_ids=False):
    for split, frames in (
        ("train", ("aachen_000000_000019", "bochum_000001_000019")),
        ("val", ("munster_000000_000019",)),
    ):
        for number, frame in enumerate(frames):
            city = frame.split("_")[0]
            save(root / "leftImg8bit" / split / city / f"{frame}_leftImg8bit.png", photo(number))
            stem = root / "gtFine" / split / city / f"{frame}_gtFine"
            save(stem.with_name(stem.name + "_labelIds.png"), halves(7, 33, void=3))
            save(stem.with_name(stem.name + "_instanceIds.png"), np.zeros((HEIGHT, WIDTH), np.uint16))
            if train_ids:
                save(stem.with_name(stem.name + "_labelTrainIds.png"), halves(0, 18))


def make_ade20k(root):
    for split, names in (
        ("training", ("ADE_train_00000001", "ADE_train_00000002")),
        ("validation", ("ADE_val_00000001",)),
    ):
        for number, name in enumerate(names):
            save(root / "images" / split / f"{name}.jpg", photo(number))
            save(root / "annotations" / split / f"{name}.png", halves(1, 150, void=0))
    rows = [
        f"{k}\t0.1\t10\t1\t0\t{'door, double door' if k in (15, 59) else f'thing {k}, stuff'}" for k in range(1, 151)
    ]
    (root / "objectInfo150.txt").write_text("\n".join(["Idx\tRatio\tTrain\tVal\tStuff\tName", *rows]) + "\n")


def make_camvid(root):
    for split, suffix in (("train", "png"), ("val", "jpg"), ("test", "png")):
        for number in range(2):
            save(root / split / f"0001TP_{number:06d}.{suffix}", photo(number))
            save(root / f"{split}annot" / f"0001TP_{number:06d}.png", halves(0, 10, void=11))


def make_folder(root):
    for number, name in enumerate(("a", "b", "c")):
        save(root / "images" / f"{name}.{'jpg' if number else 'png'}", photo(number))
    mask = halves(0, 1)
    mask[-2:] = 2
    save(root / "masks" / "c.png", mask)
    drawn = np.full((HEIGHT, WIDTH), 255, np.uint8)
    drawn[3:6, 4:20], drawn[-1] = 1, 254
    (root / "scribbles").mkdir()
    save(root / "scribbles" / "a.png", drawn)
    for name in ("b", "c"):
        strokes = (
            Stroke("cat", 3, ((4, 5), (40, 5))),
            Stroke("sky", 1, ((4, 30), (40, 30))),
            Stroke("road", 1, ((4, 38),)),
        )
        classes = ("cat", "sky", "road")
        write_scribbles(root / "scribbles" / f"{name}.json", Scribbles(name, (WIDTH, HEIGHT), classes, strokes))
    (root / "classes.txt").write_text("sky\ncat\nroad\n")


MAKERS = {"voc": make_voc, "cityscapes": make_cityscapes, "ade20k": make_ade20k, "camvid": make_camvid,
          "folder": make_folder}  # fmt: skip
