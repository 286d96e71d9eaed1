"""Matplotlib figures as inline SVG: coloured by a page's own variables, so that they follow light, dark and print."""

from __future__ import annotations

import hashlib
import io
import warnings
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A colour that matplotlib is told stands for a variable of the page; each is exact, so none is mistaken for another.
INK, MUTED, RULE, PAPER, WARM = "#00fe01", "#00fe02", "#00fe03", "#00fe04", "#00fe05"
LINES = ("#00fe11", "#00fe12", "#00fe13", "#00fe14", "#00fe15", "#00fe16")
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
    WARM: "var(--warm)",
    **{colour: f"var(--c{position})" for position, colour in enumerate(LINES, start=1)},
}
_DASHED = (0, (4, 1.6))
ACCENT = LINES[0]

# Lines are told apart by colour, and dashed after the colours are used up; more than these nobody can tell apart.
STYLES = tuple((colour, dash) for dash in ("-", _DASHED) for colour in LINES)

SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text: the browser shapes every script, and finds and reads it
    "text.parse_math": False,  # a class may be named "$x$"
    "font.family": ["DejaVu Sans"],  # ships with matplotlib: the same layout everywhere
    "font.size": 11,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "figure.facecolor": "none",
    "grid.color": RULE,
    "grid.linewidth": 1.0,
    "lines.linewidth": 1.8,
    "text.color": INK,
    "xtick.color": RULE,
    "xtick.labelcolor": MUTED,
    "xtick.major.size": 4,
    "ytick.color": RULE,
    "ytick.labelcolor": MUTED,
    "ytick.major.size": 0,
}


_WRITTEN_OUT = 1e6  # whole numbers below it have no exponent


class Canvas:
    """One figure whose units are the page's pixels.

    Within ``with Canvas(...) as canvas`` matplotlib's settings are ours, whatever a user's own file of settings says.

    Args:
        width: In pixels.
        height: In pixels.
        left: What the axes leave free at their left, in pixels; likewise the others.
    """

    def __init__(
        self, width: int, height: int, *, left: float = 46, right: float = 12, top: float = 10, bottom: float = 40
    ) -> None:
        self._size = (width, height)
        self._box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height)

    def __enter__(self) -> Canvas:
        import matplotlib as mpl
        from matplotlib.figure import Figure

        self._context = mpl.rc_context()
        self._context.__enter__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mpl.MatplotlibDeprecationWarning)  # defaults may be on their way out
            mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        width, height = self._size
        self._figure = Figure(figsize=(width / 72, height / 72))  # a point, 1/72 inch, becomes a pixel
        self.axes: Axes = self._figure.add_axes(self._box)
        return self

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(None, None, None)

    def svg(self, alt: str) -> str:
        """The drawing as an ``svg`` element that carries ``alt`` as its label and refers to nothing outside itself."""
        import matplotlib as mpl

        salt = hashlib.sha256(alt.encode()).hexdigest()
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        with warnings.catch_warnings(), mpl.rc_context({"svg.hashsalt": salt}):
            # Only the size of a missing glyph is guessed; the browser has fonts of its own.
            warnings.filterwarnings("ignore", message=r"Glyph .* missing from font", category=UserWarning)
            self._figure.savefig(buffer, format="svg", metadata=nothing)
        return _for_page(buffer.getvalue(), alt)


def tick(value: float, _position: float = 0) -> str:
    """A number on an axis; matplotlib's own formatters write mathematics, which is switched off."""
    text = f"{value:.0f}" if float(value).is_integer() and abs(value) < _WRITTEN_OUT else f"{value:.4g}"
    mantissa, mark, exponent = text.partition("e")
    return (mantissa + (f"e{int(exponent)}" if mark else "")).replace("-", "\u2212")


def _for_page(source: str, alt: str) -> str:
    root = ElementTree.fromstring(source)
    links = {element.get(_LINK, "") for element in root.iter()}
    shared = " ".join(value for element in root.iter() for value in element.attrib.values() if "url(#" in value)
    for element in root.iter():
        identity = element.attrib.pop("id", None)
        if identity and (f"#{identity}" in links or f"#{identity})" in shared):
            element.set("id", identity)
        _recolour(element)
    for group in list(root):
        if group.tag == f"{SVG}defs" and group.find(f"{SVG}style") is not None:
            root.remove(group)  # a style element in an inline drawing would speak for the whole page
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.attrib.update({"role": "img", "aria-label": alt, "class": "chart"})
    ElementTree.register_namespace("", SVG.strip("{}"))
    return ElementTree.tostring(root, encoding="unicode")


def _recolour(element: Any) -> None:
    if _LINK in element.attrib:
        element.set("href", element.attrib.pop(_LINK))
    if "d" in element.attrib:
        element.set("d", " ".join(element.attrib["d"].split()))
    style = element.get("style", "")
    if style:
        kept = [part.strip() for part in style.split(";") if not part.strip().startswith("font-family")]
        style = "; ".join(part for part in kept if part)
        for colour, variable in _VARIABLES.items():
            style = style.replace(colour, variable)
        element.set("style", style)


def colour_of(style: int) -> str:
    """The page's variable for the colour of one of `STYLES`."""
    return _VARIABLES[STYLES[style % len(STYLES)][0]]


def is_dashed(style: int) -> bool:
    """Whether one of `STYLES` is dashed."""
    return STYLES[style % len(STYLES)][1] == _DASHED


def swatch(style: int) -> str:
    """A short line in one of `STYLES`, for a legend."""
    pattern = ' stroke-dasharray="6 3"' if is_dashed(style) else ""
    line = f'<line x1="0" y1="4" x2="22" y2="4" stroke="{colour_of(style)}" stroke-width="2"{pattern}/>'
    return f'<svg viewBox="0 0 22 8" aria-hidden="true">{line}</svg>'
