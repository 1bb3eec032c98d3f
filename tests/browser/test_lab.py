"""JupyterLab in a browser: a notebook of the course runs and its slider moves its figure; the painter works in a cell."""

import nbformat
from conftest import ROOT
from painter_page import Painter


def run_all(page, address, folder, name, notebook):
    """Open a copy without outputs, run all its cells; no cell may fail."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, folder / name)
    page.goto(f"{address}/lab/tree/{name}?reset")
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.context?.isReady")
    page.evaluate(
        """async () => {
            const app = window.jupyterapp;
            await app.restored;
            const { context } = app.shell.currentWidget;
            await context.ready;
            await context.sessionContext.ready;
            await app.commands.execute('notebook:run-all-cells');
        }"""
    )
    errors = page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.context.model.toJSON().cells
            .flatMap((cell) => cell.outputs || []).filter((o) => o.output_type === 'error').map((o) => o.evalue)"""
    )
    assert errors == []


def test_a_notebooks_slider_moves_its_figure(page, lab, screenshots):
    notebook = nbformat.read(ROOT / "notebooks" / "01_moves.ipynb", as_version=4)
    run_all(page, *lab, "01_moves.ipynb", notebook)
    slider = page.get_by_role("slider").first
    slider.scroll_into_view_if_needed()
    widget = page.locator(".widget-vbox, .jupyter-widgets.widget-box").filter(has=page.get_by_role("slider")).first
    picture = widget.locator("img").first
    picture.wait_for()
    before = picture.get_attribute("src")
    slider.focus()
    slider.press("ArrowRight")
    page.wait_for_function(
        "([widget, before]) => { const i = widget.querySelector('img'); return i && i.src !== before; }",
        arg=[widget.element_handle(), before],
    )
    page.screenshot(path=screenshots / "lab_moves.png")


def test_the_painter_in_a_cell(page, lab, screenshots):
    source = 'from toykit import explore\n\nexplore.painter("coffee")'
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    run_all(page, *lab, "painter.ipynb", notebook)
    painter = Painter(page)
    seeds, picture = painter.seeds(), painter.picture()
    painter.root.get_by_role("radio").nth(1).check()
    painter.after(lambda: painter.drag((0.1, 0.1), (0.3, 0.15)))
    assert painter.seeds() > seeds
    assert painter.picture() != picture
    painter.canvas("pen").focus()
    painter.after(lambda: page.keyboard.press("u"))  # Lab's own keys keep out
    assert painter.seeds() == seeds
    page.screenshot(path=screenshots / "lab_painter.png")
