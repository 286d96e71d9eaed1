"""A text a row."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.core import DataError, ValueInfo
from jumpml.data._disk import rows_of_codes
from jumpml.data._texts import StoredTexts
from jumpml.data.kinds._kind import Decoded, Kind, is_missing, shape_problem
from jumpml.data.kinds._tokenize import Tokenizer
from jumpml.data.kinds._tokenizers import make_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from pydantic import JsonValue
    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data.kinds._column import Column
    from jumpml.data.kinds._raw_column import RawColumn


@final
class TextKind(Kind):
    """A text a row: int64 ``[rows, length]`` of token ids, padded; a missing text reads as an empty one."""

    name = "text"
    gives = "tokens"
    dtype = torch.int64
    form = "[rows, length]"
    learns = True

    def decode(self, raws: Sequence[RawColumn], told: Any, train: NDArray[np.int64] | None = None) -> Decoded:
        """The ids, by a tokenizer that saw the train rows only."""
        raw = raws[0]
        texts = texts_of(raw)
        seen = texts if train is None else _some(texts, train)
        return decode_text(raw, texts, make_tokenizer(told.tokenizer, seen, raw.root()), told.length)

    def examined(self, raws: Sequence[RawColumn]) -> list[RawColumn]:
        """What is no text is rejected."""
        texts_of(raws[0])
        return list(raws)

    def expected(self, told: Any) -> ValueInfo:
        """As long as the file says."""
        return ValueInfo(shape=(told.length,), dtype="int64")

    def mistakes(self, told: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """A pattern that is no regular expression."""
        try:
            groups = re.compile(getattr(told.tokenizer, "pattern", "")).groups
        except re.error as error:
            yield ("tokenizer", "pattern"), f"this is no regular expression: {error}.", ""
            return
        if groups:
            yield ("tokenizer", "pattern"), "expected a pattern without groups.", "Write (?:...) in place of (...)."

    def problem(self, values: Tensor, column: Column) -> str:
        """Ids of the vocabulary."""
        if values.ndim != 2:
            return shape_problem(self.form, column.values)
        size = self.num_codes(column)
        low, high = (int(values.amin()), int(values.amax())) if values.numel() else (0, 0)
        if low < 0 or (size is not None and high >= size):
            told = "or above" if size is None else f"to {size - 1}, the last of the vocabulary"
            return f"expected ids from 0 {told}, got {low} to {high}."
        return ""

    def present(self, values: Tensor) -> Tensor:
        """All rows."""
        return torch.ones(len(values), dtype=torch.bool, device=values.device)

    def raw(self, info: FieldInfo, values: NDArray) -> list[JsonValue]:
        """Lists of ids, which the runtime takes too; the texts themselves stand in the column's ``originals``."""
        return values.tolist()

    def num_codes(self, column: Column) -> int | None:
        """One a token of the vocabulary."""
        how = column.options.get("tokenizer")
        return len(how["vocabulary"]) if isinstance(how, dict) else None  # type: ignore[arg-type]


def texts_of(raw: RawColumn) -> Sequence[str]:
    """A column's texts; what is missing is empty.

    Raises:
        DataError: A value is no text.
    """
    if raw.stored is not None:
        return raw.stored.filled()
    if raw.values.ndim != 1 or raw.values.dtype.kind not in "OU":
        raise DataError(f"{raw.where}: expected a text a row, got {raw.values.dtype} of shape {raw.values.shape[1:]}.")
    texts = []
    for row, value in enumerate(raw.values.tolist()):
        if not (isinstance(value, str) or is_missing(value)):
            raw.reject(row, f"expected a text, got {value!r:.60}.")
        texts.append(value if isinstance(value, str) else "")
    return texts


def _some(texts: Sequence[str], rows: NDArray[np.int64]) -> Iterator[str]:
    if isinstance(texts, StoredTexts):
        return (text or "" for text in texts.at(rows))
    numbers: list[int] = rows.tolist()
    return (texts[row] for row in numbers)


def decode_text(raw: RawColumn, texts: Sequence[str], how: Mapping[str, Any], length: int) -> Decoded:
    """Texts as ids.

    Args:
        raw: Where they come from.
        texts: One a row.
        how: The tokenizer.
        length: Ids a row: longer texts are cut, which is counted, and shorter ones padded.

    Raises:
        DataError: There is no room beside the tokens that stand around every text.
    """
    around = len(how.get("start", ())) + len(how.get("end", ()))
    if length <= around:
        raise DataError(f"{raw.where}: expected a length above {around}, the tokens around every text; got {length}.")
    tokenizer, cut = Tokenizer(how), 0

    def ids() -> Iterator[list[int]]:
        nonlocal cut
        for text in texts:
            found, longer = tokenizer.ids(text, length)
            cut += longer
            yield found

    stored = raw.stored is not None
    return Decoded(
        values=rows_of_codes(ids(), len(texts), length, fill=how["padding"], on_disk=stored),
        options={"tokenizer": dict(how)},
        originals=texts,
        notes=(f"{cut} of {len(texts)} texts are longer than {length} tokens and were cut.",) if cut else (),
    )
