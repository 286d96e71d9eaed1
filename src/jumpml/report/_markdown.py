"""The page as Markdown, in words and tables: the ``README.md`` of a model on Hugging Face."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from jumpml.report._blocks import (
    Block,
    Cell,
    Charts,
    Code,
    Details,
    Facts,
    Gallery,
    Heading,
    Headlines,
    Items,
    Mark,
    Page,
    Table,
    Text,
    Tile,
    Token,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIGNS = {
    "good": "\N{CHECK MARK} ",
    "bad": "\N{MULTIPLICATION X} ",
    "unsure": "\N{WARNING SIGN} ",
    "note": "",
    "plain": "",
}
_SPECIAL = re.compile(r"([\\`*\[\]|~$])|(?<![A-Za-z0-9])(_)|(_)(?![A-Za-z0-9])")
_AT_START = re.compile(r"^([-+=#]|\d+(?=[.)](\s|$)))")


def to_markdown(page: Page) -> str:
    """Render a page without pictures; every text in it is escaped."""
    parts = [f"# {escape(page.title)}", *([escape(page.lede)] if page.lede else []), *map(_block, page.blocks)]
    for section in page.sections:
        parts += [f"## {escape(section.title)}", *map(_block, section.blocks)]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    r"""A text that Markdown shows as it stands.

    Example:
        >>> print(escape("macro_f1 *is* <b> $x$ a|b"))
        macro_f1 \*is\* &lt;b&gt; \$x\$ a\|b
    """
    text = _SPECIAL.sub(r"\\\g<0>", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _AT_START.sub(lambda match: f"&#{ord(match[0][0])};{match[0][1:]}", text)  # no heading, no list


def _block(block: Block) -> str:
    match block:
        case Text(text=text, tone=tone):
            return f"{_SIGNS[tone]}{escape(text)}"
        case Heading(text=text):
            return f"### {escape(text)}"
        case Items(items=items):
            return "\n".join(f"- {_cell(item)}" for item in items)
        case Code(text=text):
            return _fence(text)
        case Table():
            return f"*{escape(block.caption)}*\n\n{_table(block.head, block.rows, block.align)}"
        case Charts(charts=charts):
            return "\n".join(f"- {escape(' '.join(filter(None, (chart.alt, chart.note))))}" for chart in charts)
        case Gallery():
            return _gallery(block)
        case Facts(pairs=pairs):
            return "\n".join(f"- **{escape(word)}**: {escape(meaning)}" for word, meaning in pairs)
        case Headlines(headlines=headlines):
            return "\n".join(f"- **{escape(h.label)}: {escape(h.value)}**. {escape(h.text)}" for h in headlines)
        case Details(summary=summary, blocks=blocks):
            inner = "\n\n".join(map(_block, blocks))
            return f"<details>\n<summary>{escape(summary)}</summary>\n\n{inner}\n\n</details>"
        case _:
            assert_never(block)


def _cell(cell: Cell) -> str:
    if isinstance(cell, tuple):
        return escape(" ".join(map(_token, cell)))
    return f"{_SIGNS[cell.tone]}{escape(cell.text)}" if isinstance(cell, Mark) else escape(cell)


def _token(token: Token) -> str:
    """A word with its label behind it."""
    label = f"[{token.label}]" if token.label else ""
    return f"{token.text}{label}{' ' + _SIGNS['bad'].strip() if token.wrong else ''}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Cell]], align: str) -> str:
    lines = [[escape(word) for word in head], ["---:" if side == "r" else ":---" for side in align]]
    lines += [[_cell(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _gallery(gallery: Gallery) -> str:
    rows = [(tile.title, *_padded(tile, gallery)) for tile in gallery.tiles]
    width = max(len(row) for row in rows)
    return f"*{escape(gallery.caption)}*\n\n{_table(('', *[''] * (width - 1)), rows, 'l' * width)}"


def _padded(tile: Tile, gallery: Gallery) -> tuple[Cell, ...]:
    missing = max(len(other.lines) for other in gallery.tiles) - len(tile.lines)
    return (*tile.lines, *[""] * missing)


def _fence(text: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"
