"""From the end of a stroke to the changed picture, in the browser: printed, not asserted (run with -s to see it).

The first picture, a preview, is timed: 320 x 240 pixels, five classes, the fast solver.
"""

import io

import numpy as np
from painter_page import Painter
from PIL import Image

from toykit.datasets import photo

STROKES = 30
WATCH = """() => {
    const root = document.querySelector('.toykit-painter'), pen = root.querySelector('[data-part=pen]');
    window.times = [];
    let up = 0;
    pen.addEventListener('pointerup', () => { up = performance.now(); }, true);
    new MutationObserver(() => { if (up) { window.times.push(performance.now() - up); up = 0; } })
        .observe(root, { attributes: true, attributeFilter: ['data-sequence'] });
}"""


def test_stroke_to_picture(page, dashboard, capsys):
    page.goto(dashboard)
    painter = Painter(page)
    file = io.BytesIO()
    Image.fromarray(photo("astronaut", 320).image[:240]).save(file, format="PNG")
    painter.upload("Upload a photo", "astronaut.png", file.getvalue(), "image/png")
    for name in ("c", "d", "e"):
        painter.root.get_by_label("new class").fill(name)
        painter.after(painter.button("Add class").click)
    for k in range(5):
        painter.root.locator("fieldset input").nth(k).check()
        painter.after(lambda k=k: painter.drag((0.1 + 0.2 * k, 0.1), (0.1 + 0.2 * k, 0.3)))
    page.evaluate(WATCH)
    generator, changed = np.random.default_rng(0), 0
    for k in range(STROKES):
        painter.root.locator("fieldset input").nth(k % 5).check()
        x, y = generator.uniform(0.1, 0.8, 2)
        before = painter.picture()
        painter.after(lambda x=x, y=y: painter.drag((x, y), (x + 0.1, y + 0.05)))
        changed += painter.picture() != before
    times = page.evaluate("window.times")
    assert len(times) == STROKES
    assert changed == STROKES
    with capsys.disabled():
        print(
            f"\nstroke to picture: median {np.median(times):.0f} ms, 95% {np.quantile(times, 0.95):.0f} ms of {STROKES}"
        )
