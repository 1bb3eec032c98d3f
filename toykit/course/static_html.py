"""What of a notebook's own HTML a static page keeps: text, tables, formulas, pictures that lie in it; no request, no script.

Markdown cells and outputs may hold any HTML. nh3 (the sanitiser ammonia) parses it as a browser does and keeps what the
lists below name; an element that was left open ends with its cell.
"""

from functools import cache
from urllib.parse import urlsplit


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Elements within a line.
PHRASES = _words("a abbr b br code del dfn em i ins kbd mark q s samp small span strong sub sup u var wbr")
BLOCKS = _words(
    "blockquote caption col colgroup dd details div dl dt figcaption figure h1 h2 h3 h4 h5 h6 hr img input li ol p pre "
    "section summary table tbody td tfoot th thead tr ul"
)
#: MathML that draws; of `semantics`, whose annotations may hold HTML again, the text stays.
FORMULAS = _words(
    "math menclose merror mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts none mroot mrow mspace "
    "msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover"
)
#: Elements whose text is not for readers.
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
    "input": {"checked", "disabled"},  # the boxes of a task list
    "math": {"xmlns"},
    "ol": {"start", "type"},
}
#: None of these properties takes an address.
STYLES = _words("color font-style font-weight height max-width text-align vertical-align white-space width")


def clean(text: str) -> str:
    """HTML (a fragment) without anything that a browser would fetch or run, and with every element closed.

    Links stay, relative ones too; of pictures those that are data addresses, of the others their `alt` text.
    """
    return _cleaner(PHRASES | BLOCKS | FORMULAS).clean(text)


def line(text: str) -> str:
    """The same for a place that takes text, links and formulas only: of paragraphs, tables, lists their text."""
    return _cleaner(PHRASES | FORMULAS).clean(text).strip()


@cache
def _cleaner(tags: frozenset[str]):
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
