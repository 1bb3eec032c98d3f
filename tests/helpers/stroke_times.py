"""Time from the end of a stroke to its picture on the screen: `python tests/helpers/stroke_times.py [STROKES]`.

`toykit paint` serves a photo of 1,200 x 800 pixels with five classes; a browser paints. It prints the median and the 95% point
of the whole and of its pieces: page and kernel write down when they did what, by the same clock. CPU times are the kernel's.
Nothing is asserted: other programs on the machine change the numbers.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "browser"))
from conftest import CHROMIUM, free_port  # noqa: E402 (the tests' helpers are no package)
from painter_page import Painter  # noqa: E402

from toykit.datasets import photo  # noqa: E402

CLASSES, SIZE = ("a", "b", "c", "d", "e"), (1200, 800)
#: Functions of the kernel whose times are printed: module, class or "", function.
TIMED = (
    ("toykit.explore.painting.widget", "PainterWidget", "answer"),
    ("toykit.explore.painting.widget", "", "act"),
    ("toykit.explore.painting.session", "Session", "sample"),
    ("toykit.explore.painting.session", "Session", "solve"),
    ("toykit.explore.painting.previews", "Previews", "labels"),
    ("toykit.explore.painting.previews", "Previews", "logits"),
    ("toykit.explore.painting.labelling", "", "solve"),
    ("toykit.explore.painting.session", "Session", "state"),
    ("toykit.explore.painting.widget", "SeedsLayer", "update"),
    ("toykit.explore.painting.widget", "LabelsLayer", "update"),
    ("toykit.explore.painting.session", "Session", "layer"),
    ("toykit.explore.painting.widget", "PainterWidget", "send"),
)
#: Run by the kernel before the notebook: each call of a timed function becomes a line (name, begin, end, CPU time) of a file.
STARTUP = """
import functools, importlib, json, time
def _timed(name, function):
    @functools.wraps(function)
    def call(*arguments, **options):
        begin, cpu = time.time(), time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            with open({file!r}, "a") as file:
                file.write(json.dumps([name, begin, time.time(), time.process_time() - cpu]) + chr(10))
    return call
for module, owner, name in {timed!r}:
    module = importlib.import_module(module)
    owner = getattr(module, owner) if owner else module
    setattr(owner, name, _timed(f"{{owner.__name__.split('.')[-1]}}.{{name}}", getattr(owner, name)))
"""
#: Run by the page before its own scripts: notes what goes over the wire.
WIRE = """
window.marks = [];
window.note = (name, size = 0) => window.marks.push([name, (performance.timeOrigin + performance.now()) / 1000, size]);
window.WebSocket = class extends WebSocket {
    constructor(...all) {
        super(...all);
        this.addEventListener("message", (event) => note("received", event.data.byteLength ?? event.data.length));
    }
    send(data) { note("sent", data.byteLength ?? data.length); super.send(data); }
};
"""
WATCH = """() => {
    const root = document.querySelector(".toykit-painter"), pen = root.querySelector("[data-part=pen]");
    pen.addEventListener("pointerup", () => note("up"), true);
    new MutationObserver(() => {
        note("drawn");
        requestAnimationFrame(() => { // a message is handled after this frame
            const channel = new MessageChannel();
            channel.port1.onmessage = () => note("shown");
            channel.port2.postMessage(0);
        });
    }).observe(root, { attributes: true, attributeFilter: ["data-sequence"] });
}"""


def main(strokes: int = 30) -> None:
    """Serve, paint, and print."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "photos").mkdir()
        Image.fromarray(photo("coffee").image).resize(SIZE).save(root / "photos" / "photo.jpg")
        startup, calls = root / "ipython" / "profile_default" / "startup", root / "calls"
        startup.mkdir(parents=True)
        (startup / "times.py").write_text(STARTUP.format(file=str(calls), timed=TIMED))
        environment = os.environ | {"IPYTHONDIR": str(root / "ipython"), "PYTHONPATH": str(ROOT)}
        command = ["-m", "toykit", "paint", str(root / "photos"), "--classes", ",".join(CLASSES), "--no-browser"]
        log = (root / "log").open("w+")
        server = subprocess.Popen(
            [sys.executable, *command, "--port", str(free_port())],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            address = _address(server, root / "log")
            ups, marks = _paint(address, strokes)
        finally:
            server.terminate()
            server.wait(20)
        done = [json.loads(line) for line in calls.read_text().splitlines()]
    if missing := {_called(owner, module, name) for module, owner, name in TIMED} - {call[0] for call in done}:
        raise RuntimeError(
            f"TIMED: expected calls of each function, got none of {', '.join(sorted(missing))}; was it renamed?"
        )
    _report(ups, marks, done)


def _called(owner: str, module: str, name: str) -> str:
    """Return a function's name in the file of calls."""
    return f"{owner or module.split('.')[-1]}.{name}"


def _address(server: subprocess.Popen, log: Path) -> str:
    """Wait until the server prints that it runs, and return its address."""
    for _ in range(600):
        said = log.read_text()
        if (found := re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", said)) and "running at" in said:
            return found.group()
        if server.poll() is not None:
            break
        time.sleep(0.2)
    raise RuntimeError(f"toykit paint does not serve:\n{log.read_text()[-2000:]}")


def _paint(address: str, strokes: int) -> tuple[list[float], list]:
    """Paint random strokes one after the other, each after the whole solution of the last; return what the page noted."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        page.add_init_script(WIRE)
        page.goto(address)
        painter = Painter(page)
        for k, name in enumerate(CLASSES):
            painter.choose(name)
            painter.after(lambda k=k: painter.drag((0.1 + 0.2 * k, 0.1), (0.1 + 0.2 * k, 0.3)))
        page.evaluate(WATCH)
        page.evaluate("() => { window.marks.length = 0; }")
        generator = np.random.default_rng(0)
        for k in range(strokes):
            painter.choose(CLASSES[k % 5])
            x, y = generator.uniform(0.1, 0.8, 2)
            painter.after(lambda x=x, y=y: painter.drag((x, y), (x + 0.1, y + 0.05)))
        marks = page.evaluate("window.marks")
        browser.close()
    return [when for name, when, _ in marks if name == "up"], marks


def _report(ups: list[float], marks: list, calls: list) -> None:
    """Print the time of each piece, counted from the end of its stroke."""
    rows: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        rows.setdefault(name, []).append(1000 * value)

    for up in ups:
        after = {name: when for name, when, _ in reversed(marks) if when >= up}
        add("stroke to picture on the screen", after["shown"] - up)
        add("  page: until the stroke is sent", after["sent"] - up)
        here = [call for call in calls if up <= call[1] <= after["drawn"]]
        answer = next(call for call in calls if call[0] == "PainterWidget.answer" and call[1] >= up)
        add("  to the kernel", answer[1] - after["sent"])
        last = next(call for call in here if call[0] == "PainterWidget.send")
        add("  kernel: until the picture is sent", last[2] - answer[1])
        for name in dict.fromkeys(call[0] for call in here if call[0] != "PainterWidget.answer"):
            mine = [call for call in here if call[0] == name]
            add(f"    {name}", sum(call[2] - call[1] for call in mine))
            add(f"    {name} (CPU)", sum(call[3] for call in mine))
        messages = [(size, when) for name, when, size in marks if name == "received" and up <= when <= after["drawn"]]
        arrived = max(messages)[1]  # no other message is as large
        add("  to the page", arrived - last[2])
        add("  page: until it is drawn", after["drawn"] - arrived)
        add("  until it is on the screen", after["shown"] - after["drawn"])
    for name, values in rows.items():
        print(f"{name:40s} {np.median(values):6.1f} ms (median) {np.quantile(values, 0.95):6.1f} ms (95%)")
    print(f"{len(ups)} strokes; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
