"""Text to token ids, as `deploy/_runtime.py` does it too: its `Tokenizer` is this one, word for word.

What a tokenizer is stands in plain values: ``lowercase`` (bool), ``clean`` (bool: BERT's normalisation), ``accents``
(bool: keep them), ``split`` (a pattern, or one of the names below), ``model`` (``whole``, ``bpe`` or ``wordpiece``),
``vocabulary`` (tokens by id), ``merges`` (pairs, the first ones first), ``prefix`` (of a word's later pieces),
``longest`` (characters of a word that is looked up), ``unknown`` and ``padding`` (ids), ``start`` and ``end`` (ids
around a text).
"""

from __future__ import annotations

import heapq
import re
import unicodedata
from itertools import pairwise
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Mapping


WORDS_KEPT = 100_000  # whose ids are remembered: a server must not grow with every word that it was ever sent


@final
class Tokenizer:
    """Text to token ids."""

    def __init__(self, how: Mapping[str, Any]) -> None:
        self._how = how
        self._ids = {token: number for number, token in enumerate(how["vocabulary"])}
        self._ranks = {tuple(pair): rank for rank, pair in enumerate(how.get("merges", ()))}
        self._unknown: int = how["unknown"]
        self._known: dict[str, list[int]] = {}

    def ids(self, text: str, length: int) -> tuple[list[int], bool]:
        """``length`` ids of a text, and whether it had more than fit."""
        start, end = self._how.get("start", []), self._how.get("end", [])
        room, found = length - len(start) - len(end), list[int]()
        for word in self.words(text):
            if len(found) > room:
                break
            found += self._word(word)
        whole = [*start, *found[:room], *end]
        return whole + [self._how["padding"]] * (length - len(whole)), len(found) > room

    def words(self, text: str) -> list[str]:
        """The parts that are looked up, each on its own."""
        how = self._how
        if how.get("clean"):
            text = _cleaned(text)
        if how.get("accents") is False:
            text = "".join(mark for mark in unicodedata.normalize("NFD", text) if unicodedata.category(mark) != "Mn")
        if how["lowercase"]:
            text = "".join(mark.lower() for mark in text)
        if how["split"] == "characters":
            return list(text)
        if how["split"] == "punctuation":
            return [part for word in text.split() for part in _at_punctuation(word)]
        return re.findall(how["split"], text)

    def _word(self, word: str) -> list[int]:
        found = self._known.get(word)
        if found is None:
            if len(self._known) >= WORDS_KEPT:
                self._known.clear()
            model = {"whole": self._whole, "bpe": self._merged, "wordpiece": self._pieces}[self._how["model"]]
            found = self._known[word] = model(word)
        return found

    def _whole(self, word: str) -> list[int]:
        return [self._ids.get(word, self._unknown)]

    def _merged(self, word: str) -> list[int]:
        """Byte pair encoding: of all neighbours the pair that was learned first becomes one, again and again.

        The pairs wait in a heap, so that a word of a million letters takes seconds and not days.
        """
        parts, following, before = list(word), [*range(1, len(word)), -1], [*range(-1, len(word) - 1)]
        waiting = [(self._ranks[pair], at) for at, pair in enumerate(pairwise(parts)) if pair in self._ranks]
        heapq.heapify(waiting)
        while waiting:
            rank, at = heapq.heappop(waiting)
            after = following[at]
            if after < 0 or self._ranks.get((parts[at], parts[after])) != rank:
                continue  # one of the two has become a part of something else
            parts[at], parts[after], following[at] = parts[at] + parts[after], "", following[after]
            if following[at] >= 0:
                before[following[at]] = at
            for left in (before[at], at):
                right = following[left] if left >= 0 else -1
                if right >= 0 and (found := self._ranks.get((parts[left], parts[right]))) is not None:
                    heapq.heappush(waiting, (found, left))
        return [self._ids.get(part, self._unknown) for part in parts if part]

    def _pieces(self, word: str) -> list[int]:
        """The longest known piece from the left, then the longest from there on; unknown where any is."""
        found, start = list[int](), 0
        while start < len(word) <= self._how["longest"]:
            prefix = self._how["prefix"] if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if prefix + word[start:end] in self._ids), None)
            if end is None:
                return [self._unknown]
            found.append(self._ids[prefix + word[start:end]])
            start = end
        return found or [self._unknown]


def _cleaned(text: str) -> str:
    """No control characters, one kind of space, and spaces around Chinese characters."""
    marks = []
    for mark in text:
        if mark in "\t\n\r" or unicodedata.category(mark) == "Zs":
            marks.append(" ")
        elif unicodedata.category(mark) not in {"Cc", "Cf", "Co"} and mark != "\ufffd":
            marks.append(f" {mark} " if _is_chinese(ord(mark)) else mark)
    return "".join(marks)


def _is_chinese(code: int) -> bool:
    blocks = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F))
    more = ((0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))
    return any(low <= code <= high for low, high in (*blocks, *more))


def _at_punctuation(word: str) -> list[str]:
    """A word's parts, each punctuation mark one of its own."""
    parts = [""]
    for mark in word:
        if (mark.isascii() and mark.isprintable() and not mark.isalnum()) or unicodedata.category(mark)[0] == "P":
            parts += [mark, ""]
        else:
            parts[-1] += mark
    return [part for part in parts if part]
