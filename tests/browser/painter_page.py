"""What a person does with the painter, for tests: `Painter(page)` paints, waits and looks at pixels."""

PIXELS = """(canvas) => {
    const d = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    let hash = 0, opaque = 0;
    for (let k = 0; k < d.length; k++) { hash = (hash * 31 + d[k]) | 0; if (k % 4 === 3 && d[k] > 0) opaque++; }
    return [hash, opaque, canvas.width, canvas.height];
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
        self.slider("brush size").fill("4")
        self.root.get_by_role("radio", name="paint").check()
        self.after(lambda: self.list("photo").select_option("chelsea"))
        if not (soft := self.root.get_by_role("radio", name="soft labels")).is_checked():
            self.after(soft.check)

    def list(self, name):
        return self.root.get_by_role("combobox", name=name)

    def slider(self, name):
        return self.root.get_by_role("slider", name=name)

    def settle(self):
        """Wait for the whole solution, with nothing under way."""
        self.page.wait_for_function(
            "() => { const d = document.querySelector('.toykit-painter').dataset; "
            "return d.settled === 'true' && d.busy === 'false'; }"
        )

    def sequence(self):
        return int(self.root.get_attribute("data-sequence"))

    def after(self, act):
        """Do something that asks the kernel, and wait for its whole answer."""
        before = self.sequence()
        act()
        self.page.wait_for_function(
            "(before) => { const d = document.querySelector('.toykit-painter').dataset; "
            "return Number(d.sequence) > before && d.settled === 'true' && d.busy === 'false'; }",
            arg=before,
        )

    def canvas(self, part):
        return self.root.locator(f"[data-part={part}]")

    def picture(self):
        """A number that differs where the result's pixels do."""
        return self.canvas("result").evaluate(PIXELS)[0]

    def seeds(self):
        """How many pixels are seeds, as the canvas shows them."""
        return self.canvas("seeds").evaluate(PIXELS)[1]

    def drag(self, *points):
        """Drag through points, shares of the canvas' width and height."""
        box = self.canvas("pen").bounding_box()
        x, y = zip(*[(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in points], strict=True)
        self.page.mouse.move(x[0], y[0])
        self.page.mouse.down()
        for a, b in zip(x[1:], y[1:], strict=True):
            self.page.mouse.move(a, b, steps=4)
        self.page.mouse.up()

    def button(self, name):
        return self.root.get_by_role("button", name=name)

    def message(self):
        return self.root.locator("p.message").text_content()

    def download(self, name):
        """The bytes and the name of what a button saves."""
        with self.page.expect_download() as waiting:
            self.button(name).click()
        return waiting.value.path().read_bytes(), waiting.value.suggested_filename

    def upload(self, button, name, content, kind):
        with self.page.expect_file_chooser() as waiting:
            self.button(button).click()
        file = {"name": name, "mimeType": kind, "buffer": content}
        self.after(lambda: waiting.value.set_files(file))
