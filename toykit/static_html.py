"""What of a notebook's own HTML a static page keeps: text, tables, formulas, pictures that lie in it; no request, no script.

Markdown cells and outputs may hold any HTML. nh3 (the sanitiser ammonia) parses it as a browser does and keeps what the
lists below name; an element that was left open ends with its cell.
"""

from functools import cache
from urllib.parse import urlsplit

TAGS = frozenset(
    "a abbr b blockquote br caption code col colgroup dd del details dfn div dl dt em figcaption figure "
    "h1 h2 h3 h4 h5 h6 hr i img input ins kbd li mark ol p pre q s samp section small span strong sub summary sup "
    "table tbody td tfoot th thead tr u ul var wbr".split()
)
#: MathML that draws; `semantics` and its annotations may hold HTML again.
FORMULAS = frozenset(
    "math menclose merror mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts none mroot mrow mspace "
    "msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover".split()
)
#: Elements whose text is not for readers.
DROPPED = frozenset("iframe noscript object script style svg template textarea title".split())
ATTRIBUTES = {
    "*": set(
        "align class colspan dir id lang rowspan scope style title width height "
        "accent accentunder columnalign columnlines columnspacing depth display displaystyle fence form frame "
        "largeop linebreak linethickness lspace mathbackground mathcolor mathsize mathvariant maxsize minsize "
        "movablelimits notation rowalign rowlines rowspacing rspace scriptlevel separator stretchy symmetric".split()
    ),
    "a": {"href"},
    "details": {"open"},
    "img": {"src", "alt"},
    "input": {"checked", "disabled"},  # the boxes of a task list
    "math": {"xmlns"},
    "ol": {"start", "type"},
}
#: None of these properties takes an address.
STYLES = frozenset("color font-style font-weight text-align vertical-align white-space width max-width height".split())


def clean(text: str) -> str:
    """HTML (a fragment) without anything that a browser would fetch or run, and with every element closed.

    Links stay, relative ones too; of pictures those that are data addresses, of the others their `alt` text.
    """
    return _cleaner().clean(str(text))


@cache
def _cleaner():
    import nh3

    def attribute(_tag: str, name: str, value: str) -> str | None:
        if name == "src":
            return value if value.startswith("data:image/") else None
        return None if name == "href" and urlsplit(value).scheme == "data" else value

    return nh3.Cleaner(
        tags=set(TAGS | FORMULAS),
        clean_content_tags=set(DROPPED),
        attributes=ATTRIBUTES,
        tag_attribute_values={"input": {"type": {"checkbox"}}},
        attribute_filter=attribute,
        filter_style_properties=set(STYLES),
        url_schemes={"data", "http", "https", "mailto"},
        link_rel=None,
    )
