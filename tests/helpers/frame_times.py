"""Time from frame to frame while explorers are dragged: `python tests/helpers/frame_times.py` prints medians and 95% points.

Nothing is asserted: other programs on the machine, and a browser without a screen, change the numbers. "Redraw" is the time
that scripts, style and painting take in the frame after a pointer's move.
"""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from toykit import explore

#: Explorer -> what is dragged, and how far in pixels.
DRAGS = {
    "simplex": (explore.simplex_explorer, "[aria-label='label p'] .knob", (120, -60)),
    "potentials, surface": (explore.potential_explorer, ".surface", (200, 40)),
    "potentials, cut": (explore.potential_explorer, "[data-knob=cut] .grip", (0, -120)),
    "cross-entropies": (explore.cross_entropy_explorer, "[data-knob=prediction] .grip", (-150, 0)),
}
MOVES = 120
WATCH = """() => {
    window.gaps = [];
    window.work = [];
    let last = 0, asked = 0;
    addEventListener("pointermove", () => { asked ||= performance.now(); }, true);
    const step = (now) => {
        if (last) window.gaps.push(now - last);
        last = asked ? now : 0; // only from frames that redraw
        if (asked) { // the message is handled after this frame: after the explorer's callback and the painting
            const channel = new MessageChannel(), from = performance.now();
            channel.port1.onmessage = () => window.work.push(performance.now() - from);
            channel.port2.postMessage(0);
            asked = 0;
        }
        window.watching = requestAnimationFrame(step);
    };
    window.watching = requestAnimationFrame(step);
}"""


def main() -> None:
    """Drag, and print one line per explorer."""
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        for name, (make, handle, (dx, dy)) in DRAGS.items():
            file = Path(folder) / "page.html"
            file.write_text(f'<!doctype html><meta charset="utf-8">{make()._repr_mimebundle_()["text/html"]}', "utf-8")
            page.goto(file.as_uri())
            page.locator(handle).wait_for()
            box = page.locator(handle).bounding_box()
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            page.mouse.move(x, y)
            page.mouse.down()
            page.evaluate(WATCH)
            for k in range(1, MOVES + 1):
                share = abs((2 * k / MOVES + 1) % 2 - 1)  # there and back
                page.mouse.move(x + share * dx, y + share * dy)
            gaps, work = page.evaluate("() => { cancelAnimationFrame(watching); return [gaps, work]; }")
            page.mouse.up()
            low, high = np.quantile(gaps, (0.5, 0.95))
            redraw, slow = np.quantile(work, (0.5, 0.95))
            print(
                f"{name}: from frame to frame {low:.1f} ms (median), {high:.1f} ms (95%) of {len(gaps)}; "
                f"redraw {redraw:.1f} ms, {slow:.1f} ms of {len(work)}; load {os.getloadavg()[0]:.1f}"
            )
        browser.close()


if __name__ == "__main__":
    main()
