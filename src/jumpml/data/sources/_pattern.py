"""Columns out of the names of files."""

from __future__ import annotations

import re
from functools import cached_property
from string import Formatter
from typing import final

from jumpml.core import DataError


@final
class PathPattern:
    """A pattern such as ``{digit}_{speaker}_{take}.wav``: what stands in braces becomes a column.

    It is matched against the end of a path, as many folders deep as it has slashes. A name in braces takes as few
    letters as it can, and no slash.

    Args:
        text: The pattern.

    Raises:
        DataError: The text is no pattern.

    Example:
        >>> PathPattern("{speaker}/{digit}.wav").match("all/george/7.wav")
        {'speaker': 'george', 'digit': '7'}
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._parts = [(literal, name) for literal, name, _, _ in Formatter().parse(text)]
        except ValueError as error:
            raise DataError(f"{text!r} is no pattern: {error}.") from None
        self.names = tuple(name for _, name in self._parts if name is not None)
        if not self.names or not all(name.isidentifier() for name in self.names):
            raise DataError(f"{text!r} is no pattern: expected names in braces, such as '{{digit}}_{{speaker}}.wav'.")
        if len(set(self.names)) < len(self.names):
            raise DataError(f"{text!r} is no pattern: each name may stand once.")

    def match(self, path: str) -> dict[str, str] | None:
        """What the names in braces stand for in a path; None where it does not fit."""
        end = "/".join(path.split("/")[-(self.text.count("/") + 1) :])
        found = self._regex.fullmatch(end)
        return None if found is None else found.groupdict()

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        groups = [(re.escape(told), f"(?P<{name}>[^/]+?)" if name else "") for told, name in self._parts]
        return re.compile("".join(told + group for told, group in groups))
