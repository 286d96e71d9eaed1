"""What a card is made of, before it is HTML or Markdown: sections of paragraphs, tables and pictures, in plain text.

Nothing in a block is markup but the SVG of a chart; each renderer escapes every text for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Tone: TypeAlias = Literal["plain", "note", "good", "bad", "unsure"]


@dataclass(frozen=True)
class Mark:
    """A word that carries a judgement; the tone is told by a sign too, never by colour alone.

    Attributes:
        text: The word.
        tone: How it is meant.
    """

    text: str
    tone: Tone


@dataclass(frozen=True)
class Token:
    """A word of a text with what was said of it.

    Attributes:
        text: The word.
        label: What it is; empty where that is the commonest, which stands unmarked.
        style: An index of `drawing.STYLES`, one a label.
        wrong: Whether it is not what is true.
    """

    text: str
    label: str = ""
    style: int = 0
    wrong: bool = False


Cell: TypeAlias = str | Mark | tuple[Token, ...]
Legend: TypeAlias = tuple[tuple[str, int], ...]  # names, each with its style: an index of `drawing.STYLES`


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: What it says.
        tone: Plain text, a quiet note, or a judgement, which stands apart.
    """

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    items: tuple[Cell, ...]


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    text: str


@dataclass(frozen=True)
class Code:
    """A text to be copied as it stands."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows.

    Attributes:
        caption: What it shows.
        head: The columns' names.
        rows: The cells by row.
        align: A letter a column: ``l`` for words, ``r`` for numbers.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    align: str


@dataclass(frozen=True)
class Chart:
    """A drawing.

    Attributes:
        title: What it shows, in a few words.
        svg: An ``svg`` element; it carries ``alt`` as its label.
        alt: What a reader who does not see it should know.
        width: Its natural width in pixels.
        legend: The lines' names.
        note: What to make of it; may be empty.
        reading: How to read the drawing; may be empty.
    """

    title: str
    svg: str
    alt: str
    width: int
    legend: Legend = ()
    note: str = ""
    reading: str = ""


@dataclass(frozen=True)
class Charts:
    """Drawings that stand side by side where there is room, with the legend that they share."""

    charts: tuple[Chart, ...]
    legend: Legend = ()


@dataclass(frozen=True)
class Image:
    """A small picture.

    Attributes:
        uri: The picture itself, as a ``data:`` address.
        alt: What it shows.
    """

    uri: str
    alt: str


@dataclass(frozen=True)
class Tile:
    """A row of the data: its pictures, its name, and what is said of it."""

    images: tuple[Image, ...]
    title: str
    lines: tuple[Cell, ...]


@dataclass(frozen=True)
class Gallery:
    """Tiles in a grid.

    Attributes:
        caption: What they are.
        tiles: One a row.
        reading: How to read their pictures; may be empty.
    """

    caption: str
    tiles: tuple[Tile, ...]
    reading: str = ""


@dataclass(frozen=True)
class Headline:
    """A task's first figure, large.

    Attributes:
        label: The task and the metric.
        value: The figure.
        text: Its interval, in words.
    """

    label: str
    value: str
    text: str


@dataclass(frozen=True)
class Headlines:
    """The tasks' first figures."""

    headlines: tuple[Headline, ...]


@dataclass(frozen=True)
class Facts:
    """Pairs of a word and what it means here."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Details:
    """What only some readers want, folded away."""

    summary: str
    blocks: tuple[Block, ...]


Block: TypeAlias = Text | Items | Heading | Code | Table | Charts | Gallery | Headlines | Facts | Details


@dataclass(frozen=True)
class Section:
    """A part of the card under a heading.

    Attributes:
        key: Its address within the page.
        title: The heading.
        blocks: What stands under it.
    """

    key: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """The whole card, or another page of the kind.

    Attributes:
        title: The model's name.
        lede: What it is, in a sentence or two; may be empty.
        blocks: What stands above the first section.
        sections: The rest.
        eyebrow: What kind of page it is.
        footer: The last line.
    """

    title: str
    lede: str
    blocks: tuple[Block, ...]
    sections: tuple[Section, ...]
    eyebrow: str = "Model card"
    footer: str = "Made by JumpML from the run\u2019s records alone; card.json beside this page holds every number."
