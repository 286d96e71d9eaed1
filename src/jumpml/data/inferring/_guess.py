"""What one column seems to be."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from jumpml.core import DataError
from jumpml.data.inferring._open_table import is_number
from jumpml.data.inferring._records import ColumnGuess
from jumpml.data.kinds._date import seconds_of
from jumpml.data.kinds._kind import is_missing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

FEW_NUMBERS = 10  # different whole numbers: a target with no more is a class, not an amount
FEW_NAMES = 50  # different texts, with which a column groups rows
MOST_NAMES = 1000
OWN = 0.5  # different texts a row, above which they tell rows apart
OWN_NUMBERS = 0.95
FEWEST = 20  # rows, below which a column of different numbers means nothing
LONG = 4  # words, from which a text that tells rows apart is worth reading
FORMATS = (  # beside ISO 8601; a day that is first is tried before a month
    *("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d/%m/%Y %H:%M"),
    *("%m/%d/%Y %H:%M", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%d-%m-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y"),
)
MISSING_MARKS = {  # that stand for a missing number, in small letters
    *(
        "n/a",
        "na",
        "none",
        "-",
        "--",
        ".",
        "#n/a",
        "#na",
        "missing",
        "unknown",
        "undefined",
        "not available",
        "n.a.",
        "null",
        "nan",
    ),
}
NAMED = re.compile(r"(^|_|\b)(id|ids|uid|uuid|guid|key|index|idx|rownum|row_number)$", re.IGNORECASE)
LIST_SEPARATORS = "|;,"
SEVERAL = 0.05  # of the rows, that have more than one label where texts are lists of them
EVEN = 0.95  # of the steps from row to row, that are as long as the usual one
KINDS = ("number", "category", "date", "text", "multilabel", "tensor")
IGNORE = "ignore"


def guess_column(name: str, values: NDArray, *, is_target: bool) -> ColumnGuess:
    """Guess what a column is.

    Args:
        name: The column's.
        values: Its values, as a source gives them.
        is_target: Whether it is to be predicted.
    """
    if values.ndim > 1:
        return _rows_of_arrays(name, values)
    kind = values.dtype.kind
    if kind == "b":
        return ColumnGuess(column=name, kind="category", reason="yes or no")
    if kind == "M":
        return _dates(name, values)
    if kind in "iuf":
        return _numbers(name, values.astype(np.float64), is_target=is_target)
    known = [value for value in values.tolist() if not is_missing(value)]
    if not known:
        return ColumnGuess(column=name, kind=None, reason="no row has a value")
    if all(isinstance(value, (list, tuple, np.ndarray)) for value in known):
        return _lists(name, known)
    if all(isinstance(value, bool) for value in known):
        return ColumnGuess(column=name, kind="category", reason="yes or no")
    numbers, marks = _as_numbers(values)
    if numbers is not None:
        return _numbers(name, numbers, is_target=is_target, marks=marks)
    if not all(isinstance(value, str) for value in known):
        return ColumnGuess(column=name, kind=None, reason=f"values such as {str(known[0])[:30]!r} are no plain ones")
    return _texts(name, known, whole=len(known) == len(values))


def told_kind(name: str, kind: str, values: NDArray) -> ColumnGuess:
    """A column whose kind was given; what else its field needs is guessed.

    Raises:
        DataError: A date's format cannot be guessed, or rows are no lists of one length.
    """
    options: dict[str, Any] = {}
    marks: tuple[str, ...] = ()
    known = [value for value in values.tolist() if not is_missing(value)]
    if kind == "date" and values.dtype.kind != "M":
        form = _date_format(known)
        if form is None:
            tried = "ISO 8601 or " + ", ".join(FORMATS[:4])
            raise DataError(f"column {name!r}: expected dates in {tried}, ..., got {str(known[:1])[1:-1]}.")
        options = form
    elif kind == "multilabel":
        options = _separator(known)
    elif kind == "text":
        options = {"length": _length([str(value) for value in known])}
    elif kind == "tensor":
        guess = _rows_of_arrays(name, values) if values.ndim > 1 else _lists(name, known)
        if guess.kind != "tensor":
            raise DataError(f"column {name!r}: expected rows of equally many numbers for a tensor.")
        options = dict(guess.options)
    elif kind == "number" and values.dtype.kind == "O":
        marks = _as_numbers(values)[1]
    kept = None if kind == IGNORE else kind
    return ColumnGuess(column=name, kind=kept, reason="as you said", options=options, marks=marks)


def _numbers(name: str, values: NDArray, *, is_target: bool, marks: tuple[str, ...] = ()) -> ColumnGuess:
    known = values[np.isfinite(values)]
    if not len(known):
        return ColumnGuess(column=name, kind=None, reason="no row has a value")
    distinct, whole = np.unique(known), bool((known % 1 == 0).all())
    told = f"{len(distinct):,} different {'whole ' if whole else ''}numbers"
    if len(distinct) == 1:
        return ColumnGuess(column=name, kind=None, reason=f"constant: every value is {distinct[0]:g}")
    why = _tells_rows_apart(name, known, whole=whole, distinct=len(distinct))
    if why:
        return ColumnGuess(column=name, kind=None, reason=f"an identifier: {why}")
    if len(distinct) == 2 or (is_target and whole and len(distinct) <= FEW_NUMBERS):
        return ColumnGuess(column=name, kind="category", reason=f"only {told}", marks=marks)
    return ColumnGuess(column=name, kind="number", reason=told, marks=marks)


def _tells_rows_apart(name: str, known: NDArray, *, whole: bool, distinct: int) -> str:
    """Why numbers are those of the rows; empty where they are not."""
    if not whole or len(known) < FEWEST or distinct < OWN_NUMBERS * len(known):
        return ""
    steps = np.diff(known)
    if bool((steps > 0).all()) or bool((steps < 0).all()):
        return "a whole number that rises or falls from each row to the next"
    if float(known.max() - known.min()) < 2 * len(known):
        return "almost every row has another whole number, and hardly one is left out"
    return "almost every row has another whole number, and the name says so" if NAMED.search(name) else ""


def _texts(name: str, known: list[str], *, whole: bool) -> ColumnGuess:
    counts, rows = Counter(known), len(known)
    distinct = len(counts)
    if distinct == 1:
        return ColumnGuess(column=name, kind=None, reason=f"constant: every value is {known[0][:30]!r}")
    form = _date_format(known)
    if form is not None:
        seconds = np.array([seconds_of(value, form.get("format")) for value in known])
        rises = whole and _rises(seconds)
        return ColumnGuess(
            column=name,
            kind="date",
            reason=_told_dates(known[0], form),
            options=form,
            in_order=rises,
            step=_step(seconds) if rises else None,
        )
    separator = _label_separator(counts)
    if separator is not None:
        names = {label.strip() for text in counts for label in text.split(separator)}
        return ColumnGuess(
            column=name,
            kind="multilabel",
            reason=f"{len(names)} different names, in many rows several with {separator!r} between them",
            options={} if separator == "," else {"separator": separator},
        )
    words = sum(len(text.split()) * count for text, count in counts.items()) / rows
    told = f"{distinct:,} different texts in {rows:,} rows"
    if distinct <= OWN * rows and (distinct <= FEW_NAMES or (distinct <= MOST_NAMES and words < LONG)):
        return ColumnGuess(column=name, kind="category", reason=told)
    if words >= LONG:
        reason = f"{told}, of {words:.0f} words on average"
        return ColumnGuess(column=name, kind="text", reason=reason, options={"length": _length(known)})
    if distinct <= 2 or (distinct <= FEW_NAMES and rows < FEWEST):
        return ColumnGuess(column=name, kind="category", reason=told)
    if distinct > OWN * rows:
        return ColumnGuess(column=name, kind=None, reason=f"an identifier: {told}, too short to be read")
    return ColumnGuess(column=name, kind=None, reason=f"{told}: too many for classes, too short to be read")


def _lists(name: str, known: list[Any]) -> ColumnGuess:
    entries = [entry for row in known for entry in row]
    if entries and all(isinstance(entry, str) for entry in entries):
        names = len(set(entries))
        return ColumnGuess(column=name, kind="multilabel", reason=f"lists of names, {names:,} different ones")
    lengths = {len(row) for row in known}
    numbers = all(isinstance(entry, (int, float, np.number)) for entry in entries)
    if entries and numbers and len(lengths) == 1:
        shape = [lengths.pop()]
        return ColumnGuess(column=name, kind="tensor", reason=f"{shape[0]} numbers a row", options={"shape": shape})
    return ColumnGuess(column=name, kind=None, reason="rows are lists, neither of names nor of equally many numbers")


def _rows_of_arrays(name: str, values: NDArray) -> ColumnGuess:
    shape = list(values.shape[1:])
    if values.dtype.kind not in "biuf":
        return ColumnGuess(column=name, kind=None, reason=f"rows of shape {shape} that hold no numbers")
    return ColumnGuess(column=name, kind="tensor", reason=f"numbers of shape {shape}", options={"shape": shape})


def _dates(name: str, values: NDArray) -> ColumnGuess:
    missing = np.isnat(values)
    if bool(missing.all()):
        return ColumnGuess(column=name, kind=None, reason="no row has a value")
    seconds = values.astype("datetime64[s]").astype(np.int64)
    rises = not missing.any() and _rises(seconds)
    step = _step(seconds) if rises else None
    return ColumnGuess(column=name, kind="date", reason="the file says that they are dates", in_order=rises, step=step)


def _rises(seconds: NDArray) -> bool:
    return len(seconds) >= FEWEST and bool((np.diff(seconds) > 0).all())


def _step(seconds: NDArray) -> float | None:
    """What rising times rise by from row to row; None where that is not as good as always the same."""
    steps = np.diff(seconds)
    usual = float(np.median(steps))
    return usual if float((steps == usual).mean()) >= EVEN else None


def _label_separator(counts: Mapping[str, int]) -> str | None:
    """What stands between labels, where texts are made of few names; None where they are not."""
    rows = sum(counts.values())
    for mark in LIST_SEPARATORS:
        parts = {text: [part.strip() for part in text.split(mark)] for text in counts}
        names = {part for row in parts.values() for part in row}
        several = sum(counts[text] for text, row in parts.items() if len(row) > 1)
        if (
            several >= SEVERAL * rows
            and len(names) < min(len(counts), FEW_NAMES + 1)
            and all(len(set(row)) == len(row) for row in parts.values())
            and all(0 < len(part.split()) < LONG and not is_number(part) for part in names)
        ):
            return mark
    return None


def _as_numbers(values: NDArray) -> tuple[NDArray | None, tuple[str, ...]]:
    """The numbers that texts stand for, and the marks among them that stand for none; None where others do not."""
    numbers, marks = np.full(len(values), math.nan), set()
    for row, value in enumerate(values.tolist()):
        if is_missing(value):
            continue
        try:
            numbers[row] = float(value)
        except (ValueError, TypeError):
            if not (isinstance(value, str) and value.strip().lower() in MISSING_MARKS):
                return None, ()
            marks.add(value)
    return (numbers, tuple(sorted(marks))) if np.isfinite(numbers).any() else (None, ())


def _date_format(known: Sequence[Any]) -> dict[str, Any] | None:
    """What a data file says of dates that are written so; None where they are none."""
    tried = dict.fromkeys(known)
    for form in (None, *FORMATS):
        try:
            for value in tried:
                seconds_of(value, form)
        except ValueError:
            continue
        return {} if form is None else {"format": form}
    return None


def _told_dates(first: str, form: Mapping[str, str]) -> str:
    other = {"%d/%m/%Y": "%m/%d/%Y", "%d/%m/%Y %H:%M": "%m/%d/%Y %H:%M"}.get(form.get("format", ""))
    return f"dates such as {first}" + (f", taken for day first; {other} is month first" if other else "")


def _separator(known: Sequence[Any]) -> dict[str, Any]:
    texts = [value for value in known if isinstance(value, str)]
    found = next((mark for mark in LIST_SEPARATORS if any(mark in text for text in texts)), ",")
    return {} if found == "," else {"separator": found}


def _length(texts: Sequence[str]) -> int:
    """Ids that are enough for 95 of 100 texts."""
    lengths = [len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]
    return max(8, int(np.quantile(lengths, 0.95))) if lengths else 8
