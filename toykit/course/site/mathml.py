"""Sphinx extension: formulas as MathML, which browsers draw themselves.

So a page needs neither MathJax (a script of megabytes, by default from another machine) nor a picture per formula; screen
readers read MathML, and it scales with the text. latex2mathml converts; Sphinx lets an extension add such a renderer, and has
none for MathML itself.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def setup(app: "Sphinx") -> dict[str, Any]:
    """Register the renderer "mathml" (Sphinx calls this).

    Parameters
    ----------
    app : Sphinx
        The application.

    Returns
    -------
    dict
        What Sphinx should know of this extension.
    """
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def to_mathml(tex: str, display: str) -> str:
    """Convert a formula.

    Parameters
    ----------
    tex : str
        LaTeX without dollar signs.
    display : {"inline", "block"}
        How it stands in the text.

    Returns
    -------
    str
        A `math` element.

    Raises
    ------
    ValueError
        If the formula cannot be converted; the message contains it.
    """
    from latex2mathml.converter import convert

    try:
        mathml = convert(tex.strip(), display=display)
    except Exception as error:  # latex2mathml's errors have no common base class
        raise ValueError(f"formula {tex!r}: not converted to MathML ({type(error).__name__}: {error})") from error
    if "<mi>\\" in mathml or "<mo>\\" in mathml:
        raise ValueError(f"formula {tex!r}: latex2mathml lacks one of its commands; write it in another way")
    return mathml


def _inline(translator: Any, node: Any) -> None:
    """Write a formula within a line."""
    _write(translator, node, to_mathml(node.astext(), "inline"))


def _block(translator: Any, node: Any) -> None:
    """Write a formula on lines of its own."""
    _write(translator, node, f'<div class="formula">{to_mathml(node.astext(), "block")}</div>\n')


def _write(translator: Any, node: Any, text: str) -> None:
    """Add HTML to the page and skip the node's own text."""
    from docutils.nodes import SkipNode

    translator.body.append(text)
    raise SkipNode
