"""Texts on the card: tokens with their labels, and how a model of language goes on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from jumpml.drawing import STYLES
from jumpml.report import _words as words
from jumpml.report._blocks import Block, Table, Token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.core import TaskEvaluation

_LETTERS = 240  # of a text that stand in a cell
_UNKNOWN = "?"


def labelled(task: TaskEvaluation) -> list[Block]:
    """A table of labelled rows, the truth beside what was decided; nothing where the task has none."""
    if not task.texts:
        return []
    common = Counter(code for text in task.texts for code in text.true if code >= 0).most_common(1)
    plain = common[0][0] if common else -1
    rows = tuple(
        (
            str(text.row),
            _tokens(task, text.tokens, text.true, text.true, plain),
            _tokens(task, text.tokens, text.decided, text.true, plain),
            f"{text.right:.0%}",
        )
        for text in task.texts
    )
    caption = "Labelled rows, the worst first"
    caption += f"; what is not marked is {words.name(_label(task, plain))}" if plain >= 0 else ""
    return [Table(caption, ("row", "true", "predicted", "right"), rows, "lllr")]


def _tokens(
    task: TaskEvaluation, tokens: Sequence[str], codes: Sequence[int], true: Sequence[int], plain: int
) -> tuple[Token, ...]:
    """The tokens whose class is known with their labels; those whose class is wrong carry a sign."""
    return tuple(
        Token(
            words.name(token, 32),
            words.name(_label(task, code), 24) if truth >= 0 and (code, truth) != (plain, plain) else "",
            code % len(STYLES) if code >= 0 else 0,
            wrong=truth >= 0 and code != truth,
        )
        for token, code, truth in zip(tokens, codes, true, strict=False)
    )


def _label(task: TaskEvaluation, code: int) -> str:
    return task.classes[code] if 0 <= code < len(task.classes) else _UNKNOWN


def continued(task: TaskEvaluation) -> list[Block]:
    """A table of texts that the model went on with; nothing where the task has none."""
    if not task.continuations:
        return []
    rows = tuple(
        (str(text.row), *(words.name(part, _LETTERS) for part in (text.start, text.true, text.drawn)))
        for text in task.continuations
    )
    caption = "How a few texts go on: what the model was given, what follows it in truth, and what was drawn from the "
    caption += "model token by token"
    return [Table(caption, ("row", "given", "in truth", "drawn"), rows, "llll")]
