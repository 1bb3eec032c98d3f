"""What a person does with the painter, for tests: `Painter(page)` paints, waits and looks at pixels."""

from pathlib import Path

#: A hash of a canvas' pixels, how many are opaque (rims of strokes are not), width and height.
PIXELS = """(canvas) => {
    const d = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let hash = 0, opaque = 0;
    for (let k = 0; k < d.length; k++) { hash = (hash * 31 + d[k]) | 0; if (k % 4 === 3 && d[k] === 255) opaque++; }
    return [hash, opaque, canvas.width, canvas.height];
}"""
AT_REST = """(before) => {
    const d = document.querySelector('.toykit-painter')?.dataset;
    return d && Number(d.sequence) > before && d.settled === 'true' && d.busy === 'false';
}"""


#: Collects in `window.times` how long after a stroke's end, in ms, the picture changed.
WATCH = """() => {
    const root = document.querySelector('.toykit-painter'), pen = root.querySelector('[data-part=pen]');
    window.times = [];
    let up = 0;
    pen.addEventListener('pointerup', () => { up = performance.now(); }, true);
    new MutationObserver(() => { if (up) { window.times.push(performance.now() - up); up = 0; } })
        .observe(root, { attributes: true, attributeFilter: ['data-sequence'] });
}"""


class Painter:
    def __init__(self, page):
        self.page, self.root = page, page.locator(".toykit-painter")
        self.root.wait_for()
        self.settle()

    def reset(self):
        """Back to the first photo with the first settings, nothing to undo; as after opening the page."""
        for name, value in {"solver": "fast", "relaxation": "CD", "cross-entropy": "CCE"}.items():
            if (control := self.list(name)).input_value() != value:
                self.after(lambda c=control, v=value: c.select_option(v))
        for name, value in {"eta": "0.3", "lambda": "6", "bandwidth": "9"}.items():
            if (control := self.slider(name)).input_value() != value:
                self.after(lambda c=control, v=value: c.fill(v))
        self.tool("paint")
        self.after(lambda: self.open("chelsea"))
        if not (soft := self.root.get_by_role("radio", name="soft labels")).is_checked():
            self.after(soft.check)

    def open(self, name, answer="Go on"):
        """Select a photo, and answer the question about strokes that are in no file."""
        self.list("photo").select_option(name)
        if (dialog := self.root.get_by_role("dialog")).count():
            dialog.get_by_role("button", name=answer, exact=True).click()

    def tool(self, name):
        self.root.get_by_role("group", name="tool").get_by_role("radio", name=name).check()

    def choose(self, name):
        """Select a class."""
        self.root.get_by_role("group", name="class", exact=True).get_by_role("radio", name=name, exact=True).check()

    def list(self, name):
        return self.root.get_by_role("combobox", name=name)

    def slider(self, name):
        return self.root.get_by_role("slider", name=name)

    def settle(self, before=-1):
        """Wait for the whole solution, with nothing under way."""
        self.page.wait_for_function(AT_REST, arg=before)

    def after(self, act):
        """Do something that asks the kernel, and wait for its whole answer."""
        before = int(self.root.get_attribute("data-sequence"))
        act()
        self.settle(before)

    def press(self, key):
        """Press a key on the canvas that asks the kernel."""
        self.canvas("pen").focus()
        self.after(lambda: self.page.keyboard.press(key))

    def canvas(self, part):
        return self.root.locator(f"[data-part={part}]")

    def picture(self):
        """A number that differs where the labels' pixels do."""
        return self.canvas("result").evaluate(PIXELS)[0]

    def seeds(self):
        """How many pixels are seeds, as the canvas shows them."""
        return self.canvas("seeds").evaluate(PIXELS)[1]

    def places(self, *points):
        """Where points, shares of the photo's width and height, are on the screen."""
        box = self.canvas("photo").bounding_box()
        return [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in points]

    def drag(self, *points):
        """Drag through points, shares of the photo's width and height."""
        first, *others = self.places(*points)
        self.page.mouse.move(*first)
        self.page.mouse.down()
        for place in others:
            self.page.mouse.move(*place, steps=4)
        self.page.mouse.up()

    def click(self, *points):
        for place in self.places(*points):
            self.page.mouse.click(*place)

    def button(self, name):
        return self.root.get_by_role("button", name=name, exact=True)

    def message(self):
        return self.root.locator("p.message").text_content()

    def download(self, name):
        """The bytes and the name of what a button saves."""
        with self.page.expect_download() as waiting:
            self.button(name).click()
        return waiting.value.path().read_bytes(), waiting.value.suggested_filename

    def upload(self, button, name, content, kind, answer="Go on"):
        """Give a file to a button: its bytes, or its path."""
        with self.page.expect_file_chooser() as waiting:
            self.button(button).click()

        def give():
            file = content if isinstance(content, Path) else {"name": name, "mimeType": kind, "buffer": content}
            waiting.value.set_files(file)
            if button == "Upload a photo" and (dialog := self.root.get_by_role("dialog")).count():
                dialog.get_by_role("button", name=answer, exact=True).click()

        self.after(give)
