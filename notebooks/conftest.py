"""Run the notebooks first, the cells of each in their order, also where pytest-randomly has shuffled all tests.

A cell builds on the cells before it. A notebook has a kernel of its own, which no test can disturb; it takes long, so that one
which begins last would keep one of two workers waiting.
"""

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Put the notebooks' cells before everything else, in their order; notebooks keep the order that they were given."""
    notebooks = {}
    for item in items:
        if hasattr(item, "cell_num"):  # nbval's items
            notebooks.setdefault(item.parent, []).append(item)
    cells = [cell for own in notebooks.values() for cell in sorted(own, key=lambda cell: cell.cell_num)]
    items[:] = cells + [item for item in items if not hasattr(item, "cell_num")]
