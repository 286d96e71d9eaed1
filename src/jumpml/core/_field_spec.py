"""The data file's fields: what a column is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt

from jumpml.core._spec import Spec


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] >= ends[1]:
        raise ValueError(f"expected the lower end first, such as [0, 255], got [{ends[0]:g}, {ends[1]:g}]")
    return ends


class ColumnField(Spec):
    """The base of the fields that read one column."""

    column: str | None = None
    """The source's column; the field's own name where it is left out."""

    def reads(self, name: str) -> tuple[str, ...]:
        """The source's columns that the field of this name is made of."""
        return (name if self.column is None else self.column,)

    def key_of(self, column: str) -> str:
        """The key that names one of those columns."""
        return "column"


class NumberField(ColumnField):
    """A number a row; decoded to float32 `[batch, 1]`, missing values as NaN."""

    kind: Literal["number"]
    """The field's kind."""


class CategoryField(ColumnField):
    """One of a few names a row; decoded to int64 codes `[batch]`, missing values as -1."""

    kind: Literal["category"]
    """The field's kind."""
    classes: tuple[str, ...] | None = None
    """The names in the order of their codes; sorted from the data where it is left out."""
    rename: dict[str, str] = {}
    """Names for what the column holds: `{"0": shirt, "<=50K.": "<=50K"}`; other values are names themselves."""


class MultilabelField(ColumnField):
    """Any number of a few names a row; decoded to float32 `[batch, classes]` of 0 and 1, missing values as NaN."""

    kind: Literal["multilabel"]
    """The field's kind."""
    classes: tuple[str, ...] | None = None
    """The names in their order; sorted from the data where it is left out. Rows of zeros and ones need them."""
    rename: dict[str, str] = {}
    """Names for what the rows list: `{"0": admiration}`; other values are names themselves."""
    separator: Annotated[str, Field(min_length=1)] = ","
    """What separates two names where a row is a text."""


class DateField(ColumnField):
    """A moment a row; decoded to int64 `[batch]`, seconds since 1970 in UTC, missing values as the smallest int64."""

    kind: Literal["date"]
    """The field's kind."""
    format: str | None = None
    """How the texts are written, such as `%d.%m.%Y`; ISO 8601 where it is left out. Times without a zone are UTC."""


class FileField(ColumnField):
    """The base of the fields whose values may be files."""

    folder: str = ""
    """Where the column's paths start, from the data file's folder; they may not leave it."""


class ImageField(FileField):
    """A picture a row; decoded to float32 `[batch, channels, height, width]` in [0, 1], missing ones as NaN.

    The column holds arrays of this shape, or picture files or their paths, which are converted and stretched to it.
    """

    kind: Literal["image"]
    """The field's kind."""
    shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    """Channels, height and width of one picture. A file can have 1 (grey), 3 (RGB) or 4 (RGB and alpha)."""
    range: Annotated[tuple[float, float], AfterValidator(_ascending)] = (0.0, 255.0)
    """The raw values that become 0 and 1."""


class MaskField(FileField):
    """A class for every pixel; decoded to int64 codes `[batch, height, width]`, -1 where the class is not known.

    The column holds arrays of codes, or picture files or their paths, whose pixels are codes.
    """

    kind: Literal["mask"]
    """The field's kind."""
    shape: tuple[PositiveInt, PositiveInt]
    """Height and width; a file is stretched to them, each place taking its nearest pixel."""
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    """The names in the order of their codes."""
    ignore: int | None = None
    """The value of pixels whose class is not known, such as 255."""


class AudioField(FileField):
    """A sound a row; decoded to float32 `[batch, channels, samples]` in [-1, 1], missing ones as NaN.

    The column holds lists of samples, or sound files or their paths, which are converted to this rate.
    """

    kind: Literal["audio"]
    """The field's kind."""
    rate: PositiveInt
    """Samples a second."""
    samples: PositiveInt
    """Samples a row: longer sounds are cut at their end, shorter ones go on in silence; both are counted and told."""
    channels: PositiveInt = 1
    """Of a file, several become one by their mean, and one becomes several alike."""


def _forward(window: tuple[int, int]) -> tuple[int, int]:
    if window[0] >= window[1]:
        raise ValueError(f"expected the first step and the one behind the last, such as [-96, 0], got {list(window)}")
    return window


class SeriesField(ColumnField):
    """A stretch of steps a row; decoded to float32 `[batch, steps, channels]`, missing values as NaN.

    Either windows of `columns` around each row, which is one step after the row before it, or a column of lists.
    """

    kind: Literal["series"]
    """The field's kind."""
    columns: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """The channels of the windows, a number a row each."""
    window: Annotated[tuple[int, int], AfterValidator(_forward)] | None = None
    """The window's first step and the one behind its last, counted from the row: `[-96, 0]` is the past, `[0, 24]`
    what comes. Rows whose window leaves the table are in no split, and counted."""
    group: str | None = None
    """A column that tells series apart: no window crosses a change of its value."""

    def reads(self, name: str) -> tuple[str, ...]:
        """The channels and the group, or the column of lists."""
        if self.columns is None:
            return super().reads(name)
        return self.columns if self.group is None else (*self.columns, self.group)

    def key_of(self, column: str) -> str:
        """The key that names one of those columns."""
        if self.columns is None:
            return super().key_of(column)
        return "columns" if column in self.columns else "group"


class TableField(Spec):
    """Many columns as one value; decoded to float32 `[batch, columns]`, categories as codes, missing values as NaN."""

    kind: Literal["table"]
    """The field's kind."""
    columns: Annotated[dict[str, Literal["number", "category"]], Field(min_length=1)] | Literal["infer"]
    """What each column is; `infer` takes all columns that nothing else reads, and guesses from their values."""

    def reads(self, name: str) -> tuple[str, ...]:
        """The columns; none where they are to be guessed."""
        return () if self.columns == "infer" else tuple(self.columns)

    def key_of(self, column: str) -> str:
        """The key that names one of those columns."""
        return "columns"


class CharactersTokenizer(Spec):
    """A token a character."""

    kind: Literal["characters"]
    """The tokenizer's kind."""
    lowercase: bool = False
    """Whether capitals are read as small letters."""
    size: Annotated[int, Field(ge=3)] | None = None
    """At most so many ids, with those of padding and of what is unknown; all characters of the train rows where it is
    left out."""


class WordsTokenizer(Spec):
    """A token a word: the most frequent ones of the train rows."""

    kind: Literal["words"]
    """The tokenizer's kind."""
    lowercase: bool = False
    """Whether capitals are read as small letters."""
    pattern: str = r"\w+|[^\w\s]"
    """What a word is, as a regular expression; what it does not match is left out."""
    size: Annotated[int, Field(ge=3)] = 10_000
    """At most so many ids, with those of padding and of what is unknown."""


class PiecesTokenizer(Spec):
    """Frequent words are a token, others several: byte pair encoding or WordPiece, learned on the train rows."""

    kind: Literal["bpe", "wordpiece"]
    """The tokenizer's kind."""
    lowercase: bool = False
    """Whether capitals are read as small letters."""
    pattern: str = r"\w+|[^\w\s]"
    """What a word is, as a regular expression; what it does not match is left out."""
    size: Annotated[int, Field(ge=3)] = 8_000
    """About so many ids, with those of padding and of what is unknown."""


class FileTokenizer(Spec):
    """A tokenizer that somebody else learned; its ids stay as they are."""

    kind: Literal["file"]
    """The tokenizer's kind."""
    path: str
    """A `tokenizer.json`, from the data file's folder."""


TokenizerSpec = Annotated[
    CharactersTokenizer | WordsTokenizer | PiecesTokenizer | FileTokenizer, Field(discriminator="kind")
]


class TextField(ColumnField):
    """A text a row; decoded to int64 `[batch, length]` of token ids. A missing text reads as an empty one."""

    kind: Literal["text"]
    """The field's kind."""
    tokenizer: TokenizerSpec
    """How texts become ids: 0 is padding and 1 what is unknown, unless a file says otherwise."""
    length: PositiveInt
    """Ids a row: longer texts are cut, which is counted and told, and shorter ones padded."""


class TokenLabelsField(ColumnField):
    """A class for every token of a text; decoded to int64 codes `[batch, length]`, -1 where the class is not known.

    The column holds lists of labels, or texts with a space between two labels: as many as the text has tokens. They are
    cut and padded as the text is.
    """

    kind: Literal["token_labels"]
    """The field's kind."""
    text: str
    """The text field whose tokens have the labels; its tokenizer is of kind `words` or `characters`."""
    classes: tuple[str, ...] | None = None
    """The names in the order of their codes; sorted from the data where it is left out."""


class TensorField(ColumnField):
    """An array of numbers a row; decoded to float32 `[batch, *shape]`, missing ones as NaN."""

    kind: Literal["tensor"]
    """The field's kind."""
    shape: tuple[PositiveInt, ...]
    """The shape of one row's array."""


FieldSpec = Annotated[
    NumberField
    | CategoryField
    | MultilabelField
    | DateField
    | ImageField
    | MaskField
    | AudioField
    | SeriesField
    | TextField
    | TokenLabelsField
    | TensorField
    | TableField,
    Field(discriminator="kind"),
]
