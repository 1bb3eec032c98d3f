"""Sphinx extension: `toykit.solve` in a docstring links to `toykit.solvers.solve`, where the reference documents it."""

from typing import TYPE_CHECKING, Any

import toykit

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

#: What a public name may be; methods may bear the same name.
KINDS = ("class", "exception", "function")


def setup(app: "Sphinx") -> dict[str, Any]:
    """Register the search for names of the package itself (Sphinx calls this).

    Parameters
    ----------
    app : Sphinx
        The application.

    Returns
    -------
    dict
        What Sphinx should know of this extension.
    """
    app.connect("missing-reference", _find)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _find(app: "Sphinx", env: "BuildEnvironment", node: "Element", content: "Element") -> "Element | None":
    """Return a link to the place of a name in `toykit.__all__`; None for other names, which stay text."""
    from sphinx.util.nodes import make_refnode

    name = node.get("reftarget", "").removeprefix("toykit.")
    if node.get("refdomain") != "py" or name not in toykit.__all__:
        return None
    for full_name, entry in env.domains.python_domain.objects.items():
        if full_name.endswith(f".{name}") and entry.objtype in KINDS and not entry.aliased:
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, full_name)
    return None
