"""Texts in a drawing: how wide they are, and what of them a drawing can hold."""

from __future__ import annotations

import re
import unicodedata

# Of a sans serif font, in parts of its size, a little on the wide side: viewers have fonts of their own.
_NARROW, _WIDE = set("ijlItf.,:;'|!()[]/ "), set("mwMW@%")
_LETTERS = 48
_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # marks that turn the direction of all that follows


def clean(text: str) -> str:
    """The text as XML can hold it, in one line, and reading the way it is written."""
    return " ".join(_TURNS.sub("\ufffd", _FORBIDDEN.sub("\ufffd", text)).split())


def width_of(text: str, size: float) -> float:
    """About how wide a text is.

    Args:
        text: The text.
        size: The font's, in pixels.
    """
    return size * sum(map(_share, text))


def _share(character: str) -> float:
    if character in _NARROW:
        return 0.32
    if character in _WIDE:
        return 0.9
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    return 0.68 if character.isupper() else 0.58


def shortened(text: str, size: float, most: float) -> str:
    """A text that is at most so wide, and no longer than a line, with an ellipsis where it was longer."""
    if width_of(text, size) <= most and len(text) <= _LETTERS:
        return text
    text = text[: _LETTERS - 1]
    while text and width_of(f"{text}…", size) > most:
        text = text[:-1]
    return f"{text.rstrip()}…"


def count(number: int) -> str:
    """A number in a few figures.

    Example:
        >>> count(0), count(950), count(18_816), count(1_234_567), count(25_600_000_000)
        ('0', '950', '18.8k', '1.23M', '25.6G')
    """
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g}{unit}" if number < 999.5 * size else f"{number // size}{unit}"
    return str(number)
