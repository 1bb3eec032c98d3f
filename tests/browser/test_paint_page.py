"""In a browser: `toykit paint FOLDER`, the photos of a folder, a kernel that dies, and the time from stroke to picture."""

import os
import shutil
import time
import urllib.error
import urllib.request

import numpy as np
import psutil
import pytest
from click.testing import CliRunner
from conftest import PATIENCE, address, free_port
from painter_page import WATCH, Painter
from PIL import Image

from toykit.cli import main
from toykit.datasets import load
from toykit.datasets import photo as shipped_photo
from toykit.supervision import read_scribbles

CLASSES = ("a", "b", "c", "d", "e")
SIZE = (1200, 800)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of five photos, 1,200 pixels wide, in the layout of a training set."""
    root = tmp_path_factory.mktemp("photos")
    (root / "images").mkdir()
    picture = Image.fromarray(shipped_photo("coffee").image).resize(SIZE)
    for k in range(5):
        picture.rotate(2 * k).save(root / "images" / f"photo{k}.jpg")
    return root


@pytest.fixture
def folder(photos):
    """The photos, none painted."""
    shutil.rmtree(photos / "scribbles", ignore_errors=True)
    return photos


@pytest.fixture(scope="module")
def server(serve, photos):
    """The address, and the process that serves it."""
    port = free_port()
    process, said = serve(
        ["toykit", "paint", str(photos), "--classes", ",".join(CLASSES), "--no-browser", "--port", str(port)], port
    )
    return address(said), process


@pytest.fixture
def painter(server, visit, folder):
    """A new page, whose kernel finds no photo painted."""
    page, wrong = visit()
    page.goto(server[0])
    yield Painter(page)
    page.context.close()
    assert not wrong


def test_only_the_printed_address_lets_in_and_each_visit_has_a_kernel_of_its_own(server, folder):
    children = psutil.Process(server[1].pid).children
    bare, token = server[0].split("?token=")
    assert len(token) >= 32
    at_rest, before = time.monotonic(), children()
    while time.monotonic() < at_rest + 5:  # kernels of other tests may be ending
        time.sleep(0.2)
        if (now := children()) != before:
            at_rest, before = time.monotonic(), now
    for there in (bare, f"{bare}?token={'x' * len(token)}"):
        with urllib.request.urlopen(there) as answer:
            assert "/login" in answer.url
    for method, path in (("GET", "api/kernels/1-2-3-4-5/channels"), ("POST", "voila/api/shutdown/1-2-3-4-5")):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(urllib.request.Request(bare + path, method=method))
    other_site = urllib.request.Request(server[0], headers={"Host": "other.example"})  # a name that points here
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(other_site)
    assert children() == before  # nobody got a kernel
    for count in (1, 2):
        with urllib.request.urlopen(server[0]) as answer:
            answer.read()
        assert len(children()) == len(before) + count


def test_five_photos_in_at_most_fifteen_actions(painter, folder, screenshots):
    """Actions beyond the strokes: a key for another class, a key for the next photo."""
    actions, strokes = 0, (((0.1, 0.1), (0.1, 0.9)), ((0.5, 0.4), (0.6, 0.5)))
    painter.page.set_viewport_size({"width": 1440, "height": 900})
    painter.root.locator(".strip img[src^=blob]").nth(4).wait_for()
    painter.page.mouse.move(*painter.places((0.5, 0.5))[0])
    for k in range(5):
        assert painter.root.get_by_role("button", name=f"photo{k}").get_attribute("aria-current") == "true"
        for number in ("1", "2"):
            painter.page.keyboard.press(number)
            actions += 1
            painter.after(lambda n=int(number): painter.drag(*strokes[n - 1]))
        painter.root.locator(".count", has_text=f"{k + 1} of 5 painted").wait_for()
        assert (folder / "scribbles" / f"photo{k}.json").exists()  # without any action
        if k < 4:
            painter.press("n")
            actions += 1
            assert painter.seeds() == 0
    assert actions <= 15
    for width, height in ((1440, 900), (1920, 1080), (390, 844)):
        painter.page.set_viewport_size({"width": width, "height": height})
        painter.page.wait_for_timeout(300)
        for scheme in ("light", "dark"):
            painter.page.emulate_media(color_scheme=scheme)
            painter.page.screenshot(path=screenshots / f"paint_folder_{width}_{scheme}.png")
            colors = "(root) => { const { color, backgroundColor } = getComputedStyle(root); return [color, backgroundColor]; }"
            ink, paper = (int(c.split("(")[1].split(",")[0]) for c in painter.root.evaluate(colors))
            assert (ink < paper) == (scheme == "light")
    painter.page.emulate_media(color_scheme="light")
    painter.page.set_viewport_size({"width": 1280, "height": 900})
    seeds = painter.seeds()
    painter.after(painter.button("◀ Previous").click)
    painter.after(painter.root.get_by_role("button", name="photo4").click)
    assert painter.seeds() == seeds
    dataset = load("folder", "train", folder)
    assert dataset.classes == CLASSES
    assert (dataset[4].seeds < 255).sum() == seeds


def test_segment_reads_the_folder(painter, folder, tmp_path):
    painter.after(lambda: painter.drag((0.1, 0.1), (0.1, 0.5)))
    small = tmp_path / "images"
    small.mkdir()
    for path in (folder / "scribbles").glob("*.json"):
        Image.open(folder / "images" / f"{path.stem}.jpg").resize((120, 80)).save(small / f"{path.stem}.png")
    options = ["-o", str(tmp_path / "out"), "--refine", "0", "--solver", "closed-form"]
    result = CliRunner().invoke(main, ["segment", str(small), str(folder / "scribbles"), *options])
    assert result.exit_code == 0, result.output


#: TOYKIT_STROKES=30 measures; a few suffice to test.
STROKES = int(os.environ.get("TOYKIT_STROKES", "8"))


def test_stroke_to_picture(painter, capsys):
    """From the end of a stroke to the changed picture, a preview: printed, not asserted; 1,200 pixels and five classes."""
    page = painter.page
    for k, name in enumerate(CLASSES):
        painter.choose(name)
        painter.after(lambda k=k: painter.drag((0.1 + 0.2 * k, 0.1), (0.1 + 0.2 * k, 0.3)))
    page.evaluate(WATCH)
    generator, changed = np.random.default_rng(0), 0
    for k in range(STROKES):
        painter.choose(CLASSES[k % 5])
        x, y = generator.uniform(0.1, 0.8, 2)
        before = painter.picture()
        painter.after(lambda x=x, y=y: painter.drag((x, y), (x + 0.1, y + 0.05)))
        changed += painter.picture() != before
    times = page.evaluate("window.times")
    assert len(times) == STROKES
    assert changed >= STROKES - 2  # a stroke may cover another of its class
    with capsys.disabled():
        print(
            f"\nstroke to picture: median {np.median(times):.0f} ms, 95% {np.quantile(times, 0.95):.0f} ms of {STROKES}; "
            f"load {os.getloadavg()[0]:.1f}"
        )


def test_a_killed_kernel_loses_no_stroke(server, visit, folder):
    page, _ = visit()  # may complain that its kernel is gone
    page.goto(server[0])
    painter = Painter(page)
    name = painter.root.locator(".strip [aria-current=true]").get_attribute("title")
    file = folder / "scribbles" / f"{name}.json"
    before = {child.pid for child in psutil.Process(server[1].pid).children()}
    painter.after(lambda: painter.drag((0.2, 0.2), (0.4, 0.2)))
    seeds = painter.seeds()
    kernel = max(before, key=lambda pid: psutil.Process(pid).create_time())
    psutil.Process(kernel).kill()
    painter.drag((0.2, 0.6), (0.4, 0.6))
    painter.drag((0.2, 0.8), (0.4, 0.8))
    context = page.context
    page.close()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server[0])
    painter = Painter(page)
    current = painter.root.get_by_role("button", name=name)
    if current.get_attribute("aria-current") != "true":
        painter.after(current.click)
    painter.after(painter.button("Restore them").click)
    assert painter.seeds() > seeds
    assert len(read_scribbles(file).strokes) == 3
    context.close()
