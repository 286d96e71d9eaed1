"""Numbers and names as a reader wants them."""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jumpml.core import Figure

# Characters that reorder or hide what stands around them; a name that holds one could make a line of the card lie.
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000e-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_ISOLATE, _POP = "\u2068", "\u2069"


def prose(text: object) -> str:
    """A text from data on one line, without control characters, so that it is valid in HTML, SVG and Markdown alike."""
    return _INVISIBLE.sub("\N{REPLACEMENT CHARACTER}", " ".join(str(text).split()))


def verbatim(text: str) -> str:
    """A text with its lines as they are, without what hides or reorders them."""
    return _INVISIBLE.sub("\N{REPLACEMENT CHARACTER}", text)


def name(text: object, limit: int = 64) -> str:
    """A name from data: cut in the middle where it is long, and isolated where it runs from right to left."""
    shown = prose(text) or "(empty)"
    if len(shown) > limit:
        head = limit * 2 // 3
        shown = f"{shown[:head]}\u2026{shown[head + 1 - limit :]}"
    right_to_left = any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in shown)
    return f"{_ISOLATE}{shown}{_POP}" if right_to_left else shown


def number(value: float, digits: int = 4) -> str:
    """A number with so many significant digits; thousands apart, a true minus sign.

    Example:
        >>> number(1234567.0), number(0.98333), number(float("nan"))
        ('1,234,567', '0.9833', 'not defined')
    """
    if not math.isfinite(value):
        return "not defined" if math.isnan(value) else ("\u221e" if value > 0 else "\u2212\u221e")
    if value == 0 or 1e-4 <= abs(value) < 10**digits:
        text = f"{value:.{digits}g}"
    else:
        text = f"{value:,.0f}" if 1 <= abs(value) < 1e12 else f"{value:.{digits - 1}e}"
    return text.replace("-", "\u2212")


def count(value: int) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,}"


def plural(value: int, noun: str, many: str = "") -> str:
    """A count and its noun.

    Example:
        >>> plural(1, "row"), plural(1797, "row"), plural(2, "class", "classes")
        ('1 row', '1,797 rows', '2 classes')
    """
    return f"{count(value)} {noun if value == 1 else many or noun + 's'}"


def figure(figure: Figure) -> str:
    """A figure's value, with the digits that its interval supports."""
    return _rounded(figure.value, figure)


def interval(figure: Figure) -> str:
    """A figure's interval in words."""
    return f"{_rounded(figure.low, figure)} to {_rounded(figure.high, figure)}"


def with_interval(figure: Figure) -> str:
    """A figure and its interval in brackets.

    Example:
        >>> from jumpml.core import Figure
        >>> with_interval(Figure(value=0.885, low=0.842, high=0.918, n=270))
        '0.885 (0.842 to 0.918)'
        >>> with_interval(Figure(value=4.254e29, low=3.788e29, high=4.751e29, n=270))
        '4.254e+29 (3.788e+29 to 4.751e+29)'
    """
    return f"{_rounded(figure.value, figure)} ({interval(figure)})"


def _rounded(value: float, figure: Figure) -> str:
    width = figure.high - figure.low
    if not (math.isfinite(value) and math.isfinite(width) and width > 0) or abs(value) >= 1e12:
        return number(value)
    decimals = min(max(1 - math.floor(math.log10(width)), 0), 8)
    return f"{value:,.{decimals}f}".replace("-", "\u2212")


def signed(value: float) -> str:
    """A number with its sign, for margins and differences."""
    return number(value, 3) if value <= 0 or not math.isfinite(value) else f"+{number(value, 3)}"


def seconds(value: float) -> str:
    """A duration.

    Example:
        >>> seconds(3.21), seconds(134.0), seconds(7260.0)
        ('3.2 s', '2 min 14 s', '2 h 1 min')
    """
    if not math.isfinite(value) or value < 100:
        return f"{number(value, 2)} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(value: int) -> str:
    """A file's size in units of a thousand.

    Example:
        >>> size(900), size(61234)
        ('900 B', '61.2 kB')
    """
    shown, units = float(value), iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    while shown >= 1000 and unit != "GB":
        shown, unit = shown / 1000, next(units)
    return f"{shown:,.3g} {unit}"


def metric(key: str) -> str:
    """A metric's name for people.

    Example:
        >>> metric("macro_f1"), metric("auroc"), metric("log_loss"), metric("rmse.body_mass")
        ('macro F1', 'AUROC', 'log loss', 'RMSE of body_mass')
    """
    known = {"auroc": "AUROC", "rmse": "RMSE", "mae": "MAE", "mse": "MSE", "r2": "R\u00b2", "f1": "F1"}
    known |= {"hamming": "Hamming", "mase": "MASE", "psnr": "PSNR", "iou": "IoU"}  # the first is a name
    key, of, output = key.partition(".")
    if of:
        return f"{metric(key)} of {name(output, 40)}"
    return " ".join(known.get(word, word) for word in name(key).split("_"))


def moment(text: str) -> str:
    """A time to the minute; as it was given where it is none.

    Example:
        >>> moment("2026-01-31T12:00:59+00:00"), moment("yesterday")
        ('2026-01-31 12:00 UTC', 'yesterday')
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return prose(text)
    return f"{time:%Y-%m-%d %H:%M %Z}".strip()


def listing(items: Sequence[str], limit: int = 12) -> str:
    """Items in a sentence, cut with a count where there are many."""
    if len(items) > limit:
        return f"{', '.join(items[:limit])} and {count(len(items) - limit)} more"
    return ", ".join(items)


def sentences(texts: Iterable[str]) -> tuple[str, ...]:
    """Each on one line and with a full stop, but with no new capital letter, for it may begin with a name."""
    cleaned = filter(None, map(prose, texts))
    return tuple(text if text.endswith((".", "!", "?")) else f"{text}." for text in cleaned)
