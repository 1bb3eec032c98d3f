"""Sphinx's configuration of the site; `toykit site` puts the pages together and runs Sphinx with it."""

from toykit import __version__

project = "toykit"
version = release = __version__
html_title = "toykit"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "toykit.course.site.mathml",
    "toykit.course.site.public_names",
]
exclude_patterns = ["toykit"]

# notebooks: as they are stored, never executed; nothing of theirs needs a script of another machine
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"
nb_ipywidgets_js = {}
nb_mime_priority_overrides = [
    ("html", "application/vnd.jupyter.widget-view+json", None),
    ("html", "application/javascript", None),
]
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

# the reference: numpydoc docstrings; a name in single backticks is a link where it is documented
napoleon_google_docstring = False
napoleon_use_rtype = False
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
python_use_unqualified_type_names = True

# pages that open from the disk: no request to another machine, no summaries that search would have to fetch
html_theme = "furo"
html_theme_options = {
    name: {
        "toc-title-font-size": "var(--font-size--small)",
        "toc-font-size": "var(--font-size--small)",
        "sidebar-caption-font-size": "var(--font-size--small)",
    }
    for name in ("light_css_variables", "dark_css_variables")
}
html_math_renderer = "mathml"
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_search_summary = False
html_copy_source = False
html_show_copyright = False
