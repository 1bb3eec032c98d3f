"""Sanitise a notebook's own HTML for a static page: keep text, tables, formulas and embedded pictures; no request, no script.

Markdown cells and outputs may contain any HTML. nh3 (the sanitiser ammonia) parses it as a browser does and keeps only what
the lists below allow. An element that was left open ends with its cell.
"""

from functools import cache
from urllib.parse import urlsplit


def _words(text: str) -> frozenset[str]:
    """Return the set of words of a text."""
    return frozenset(text.split())


#: Inline elements.
PHRASES = _words("a abbr b br code del dfn em i ins kbd mark q s samp small span strong sub sup u var wbr")
BLOCKS = _words(
    "blockquote caption col colgroup dd details div dl dt figcaption figure h1 h2 h3 h4 h5 h6 hr img input li ol p pre "
    "section summary table tbody td tfoot th thead tr ul"
)
#: MathML that is drawn. `semantics`, whose annotations may contain HTML again, is reduced to its text.
FORMULAS = _words(
    "math menclose merror mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts none mroot mrow mspace "
    "msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover"
)
#: Elements that are removed with their text.
DROPPED = _words("iframe noscript object script style svg template textarea title")
ATTRIBUTES = {
    "*": _words(
        "align class colspan dir height id lang rowspan scope style title width "
        "accent accentunder columnalign columnlines columnspacing depth display displaystyle fence form frame "
        "largeop linebreak linethickness lspace mathbackground mathcolor mathsize mathvariant maxsize minsize "
        "movablelimits notation rowalign rowlines rowspacing rspace scriptlevel separator stretchy symmetric"
    ),
    "a": {"href"},
    "details": {"open"},
    "img": {"src", "alt"},
    "input": {"checked", "disabled"},  # check boxes of a task list
    "math": {"xmlns"},
    "ol": {"start", "type"},
}
#: CSS properties that are kept; none of them takes an address.
STYLES = _words("color font-style font-weight height max-width text-align vertical-align white-space width")


def clean(text: str) -> str:
    """Remove everything from HTML that a browser would fetch or run, and close every element.

    Links are kept, also relative ones. Pictures are kept if their source is a data address; others become their `alt` text.

    Parameters
    ----------
    text : str
        A fragment of HTML.

    Returns
    -------
    str
        The sanitised fragment.
    """
    return _cleaner(PHRASES | BLOCKS | FORMULAS).clean(text)


def line(text: str) -> str:
    """Sanitise HTML for a place of one line: keep text, links and formulas; paragraphs, tables and lists become their text.

    Parameters
    ----------
    text : str
        A fragment of HTML.

    Returns
    -------
    str
        The sanitised line.
    """
    return _cleaner(PHRASES | FORMULAS).clean(text).strip()


@cache
def _cleaner(tags: frozenset[str]):
    """Return the sanitiser that keeps these elements."""
    import nh3

    def attribute(_tag: str, name: str, value: str) -> str | None:
        if name == "src":
            return value if value.startswith("data:image/") else None
        return None if name == "href" and urlsplit(value).scheme == "data" else value

    return nh3.Cleaner(
        tags=set(tags),
        clean_content_tags=set(DROPPED),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        tag_attribute_values={"input": {"type": {"checkbox"}}},
        attribute_filter=attribute,
        filter_style_properties=set(STYLES),
        url_schemes={"data", "http", "https", "mailto"},
        link_rel=None,
    )
