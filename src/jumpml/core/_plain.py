"""Whatever a Python form may hold to dicts, lists and scalars, the only values that specs are made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

from jumpml.core._document import Bounds, Document, Path_
from jumpml.core._errors import Mistake, SpecError


def plain(document: Document, source: str) -> Document:
    """The same document, of dicts, lists, text, numbers, booleans and None alone.

    Specs become dicts, tuples lists, paths text.

    Raises:
        SpecError: A value is no data, too large a number, or nested without bound; all such are told at once.
    """
    reader = _Reader(document, source)
    value = reader.value(document.value, ())
    if reader.mistakes:
        raise SpecError(source, reader.mistakes)
    return Document(value, document.positions, document.overridden)


class _Reader:
    def __init__(self, document: Document, source: str) -> None:
        self._document, self._source = document, source
        self._bounds = Bounds()
        self.mistakes: list[Mistake] = []

    def value(self, value: Any, path: Path_) -> Any:
        if problem := self._bounds.exceeded(path):
            raise SpecError(self._source, [self._document.mistake(path[:4], problem)])
        if isinstance(value, BaseModel):
            value = value.model_dump(mode="json", exclude_unset=True)
        if isinstance(value, Mapping):
            named = [(self._text(str(key), path), inner) for key, inner in value.items()]
            return {key: self.value(inner, (*path, key)) for key, inner in named}
        if isinstance(value, (list, tuple)):
            return [self.value(inner, (*path, index)) for index, inner in enumerate(value)]
        return self._scalar(value, path)

    def _scalar(self, value: Any, path: Path_) -> Any:
        if isinstance(value, (str, PurePath)):
            return self._text(str(value), path)
        if isinstance(value, int) and value.bit_length() > 63:
            self._report(path, "expected a whole number of at most 64 bits, got a larger one.")
        elif not (value is None or isinstance(value, (bool, int, float))):
            self._report(
                path, f"expected text, a number, a list or a mapping, got a value of type {type(value).__name__}."
            )
        return value

    def _text(self, text: str, path: Path_) -> str:
        try:  # JSON writes a character beyond 16 bits as two escapes, which YAML reads as two halves
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            self._report(path, "expected text, got half a character (a lone surrogate escape).")
            return ""

    def _report(self, path: Path_, problem: str) -> None:
        self.mistakes.append(self._document.mistake(path, problem))
