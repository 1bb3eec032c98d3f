"""Keep the cells of each notebook in their order: pytest-randomly shuffles tests, and a cell builds on the cells before it."""

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Put the cells of a notebook in a row, in their order, where the shuffled list has the first of them."""
    cells = {}
    for item in items:
        if hasattr(item, "cell_num"):  # nbval's items
            cells.setdefault(item.parent, []).append(item)
    ordered = []
    for item in items:
        if not hasattr(item, "cell_num"):
            ordered.append(item)
        elif item.parent in cells:
            ordered += sorted(cells.pop(item.parent), key=lambda cell: cell.cell_num)
    items[:] = ordered
