"""A class for every token of a text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from jumpml.core import DataError, ValueInfo
from jumpml.data._disk import in_blocks, rows_of_codes
from jumpml.data.kinds._category import (
    codes_problem,
    in_order,
    name_of,
    rows_of_classes,
    twice_named,
    unknown_class,
    unseen,
)
from jumpml.data.kinds._kind import Decoded, Kind, is_missing, shape_problem
from jumpml.data.kinds._tokenize import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data.kinds._column import Column
    from jumpml.data.kinds._raw_column import RawColumn

BETWEEN = "\x1f"  # two labels of a row, once it is one text
TOKENIZERS = ("words", "characters")  # whose tokens are what people label


@final
class TokenLabelsKind(Kind):
    """A class for every token of a text: int64 codes ``[rows, length]``, -1 where not known and behind its end."""

    name = "token_labels"
    gives = "labels"
    dtype = torch.int64
    form = "[rows, length]"
    learns = True  # nothing of the train rows; but its text does, whose tokens it has to match
    absent = -1

    def decode(self, raws: Sequence[RawColumn], told: Any, train: NDArray[np.int64] | None = None) -> Decoded:
        """As many codes as the longest row has labels; `align` makes them as many as the text has tokens."""
        raw = raws[0]
        rows = _labels(raw)
        names, longest = set[str](), 1
        for labels in filter(None, map(_split, rows)):
            names.update(labels)
            longest = max(longest, len(labels))
        classes = tuple(told.classes) if told.classes is not None else in_order(names - {""})
        index = {name: code for code, name in enumerate(classes)} | {"": -1}

        late: dict[int, str] = {}

        def codes() -> Iterator[list[int]]:
            for row, labels in enumerate(map(_split, rows)):
                unknown = next((label for label in labels if label not in index), None)
                if unknown is not None:
                    late[row] = unknown_class(unknown, classes, None)
                    raw.reject(row, late[row])
                yield [index.get(label, -1) for label in labels]

        values = rows_of_codes(codes(), len(raw), longest, fill=-1, on_disk=raw.stored is not None)
        return Decoded(values=values, classes=classes, options={"text": told.text}, notes=_told(late, raw))

    def examined(self, raws: Sequence[RawColumn]) -> list[RawColumn]:
        """The labels of each row as one text, so that rows can be compared; what are no labels is rejected."""
        return [_texts(raws[0])]

    def expected(self, told: Any) -> ValueInfo:
        """As long as the text."""
        return ValueInfo(shape=(0,), dtype="int64")

    def mistakes(self, told: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Two classes of one name."""
        yield from twice_named(told.classes or ())

    def problem(self, values: Tensor, column: Column) -> str:
        """Codes of the classes, or -1."""
        if values.ndim != 2:
            return shape_problem(self.form, column.values)
        return codes_problem(values, column.classes)

    def present(self, values: Tensor) -> Tensor:
        """Where any token's class is known."""
        return (values >= 0).any(dim=1)

    def raw(self, info: FieldInfo, values: NDArray) -> list[JsonValue]:
        """Lists of names up to the last known one, null where the class is not known."""
        rows: list[JsonValue] = []
        for codes in values:
            known = np.flatnonzero(codes >= 0)
            length = int(known[-1]) + 1 if len(known) else 0
            rows.append([info.classes[code] if code >= 0 else None for code in codes[:length].tolist()] or None)
        return rows

    def num_codes(self, column: Column) -> int | None:
        """One a class."""
        return len(column.classes) or None

    def findings(self, info: FieldInfo, train: Iterable[Tensor], count: int) -> Iterator[str]:
        """Classes that no train row has."""
        yield from unseen(info.classes, rows_of_classes((codes[codes >= 0] for codes in train), len(info.classes)))


def align(labels: Column, raw: RawColumn, text: Column, where: str) -> Column:
    """Labels as long as their text, one a token.

    Args:
        labels: As `TokenLabelsKind.decode` gives them.
        raw: Where they come from.
        text: The text that they are labels of.
        where: What to call it in errors.

    Raises:
        DataError: A row has more or fewer labels than its text has tokens.
    """
    how: Any = text.options["tokenizer"]
    length, tokenizer = text.values.shape[1], Tokenizer(how)
    unlike = 0

    def aligned() -> Iterator[list[int]]:
        nonlocal unlike
        codes = (row for block in in_blocks(labels.values) for row in block.tolist())
        for row, (given, written) in enumerate(zip(_labels(raw), text.originals or (), strict=True)):
            tokens, count, found = len(tokenizer.words(str(written))), len(_split(given)), next(codes)
            if given is None or count == tokens:
                yield found[: min(count, length)]
            elif not raw.skip:
                raise raw.error(row, f"expected a label for each of the {tokens} tokens of {where}, got {count}.")
            else:
                unlike += 1
                yield []

    values = rows_of_codes(aligned(), len(labels), length, fill=-1, on_disk=raw.stored is not None)
    told = (f"{unlike} rows have more or fewer labels than tokens; these labels are not known (on_error: skip).",)
    return replace(labels, values=values, notes=(*labels.notes, *(told if unlike else ())))


def _told(late: Mapping[int, str], raw: RawColumn) -> tuple[str, ...]:
    """What is said of rows with a label that is no class; they were found too late to be left out of the splits."""
    if not late:
        return ()
    row, problem = next(iter(late.items()))
    told = f"{len(late)} rows have a label that is no class, which counts as not known (on_error: skip)"
    return (f"{told}; the first is {raw.place(row)}: {problem}",)


def _labels(raw: RawColumn) -> Sequence[str | None]:
    """Each row's labels as one text, None where there are none."""
    return raw.stored if raw.stored is not None else _texts(raw).values.tolist()


def _split(labels: str | None) -> list[str]:
    return [] if labels is None else labels.split(BETWEEN)


def _texts(raw: RawColumn) -> RawColumn:
    """Each row's labels as one text, None where there are none."""
    if raw.values.dtype.kind not in "OU" and raw.values.ndim != 2:
        shape = list(raw.values.shape[1:])
        raise DataError(f"{raw.where}: expected a list of labels a row, got {raw.values.dtype} of shape {shape}.")
    joined = np.empty(len(raw.values), dtype=object)
    for row, value in enumerate(raw.values):
        joined[row] = _joined(raw, row, value)
    return replace(raw, values=joined)


def _joined(raw: RawColumn, row: int, value: Any) -> str | None:
    if is_missing(value):
        return None
    if isinstance(value, str):
        return value if BETWEEN in value else BETWEEN.join(value.split())
    if not isinstance(value, (list, tuple, np.ndarray)) or any(isinstance(label, (list, dict)) for label in value):
        raw.reject(row, f"expected a list of labels, or labels with spaces between them, got {value!r:.60}.")
        return None
    return BETWEEN.join("" if is_missing(label) else name_of(label) for label in value)
