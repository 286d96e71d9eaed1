"""What a search may choose from: ``learner.optimizer.lr=log:1e-4..1e-1``."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from jumpml.core import SPECS, Mistake, SpecError, did_you_mean, parse_override

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"\s*(log:)?\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*")
_FORMS = "log:1e-4..1e-1, 0.0..0.5, 16..64, or 16,32,64"


@final
@dataclass(frozen=True, kw_only=True)
class Range:
    """Any number from `low` to `high`.

    Attributes:
        low, high: The ends, both among them.
        log: Whether orders of magnitude are equally likely, rather than numbers.
        whole: Whether only whole numbers count.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def suggest(self, trial: Any, key: str) -> float:
        """What an optuna trial takes for a key."""
        if self.whole:
            return trial.suggest_int(key, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(key, self.low, self.high, log=self.log)

    def holds(self, value: Any) -> bool:
        """Whether a value is one that could be taken."""
        right = isinstance(value, int if self.whole else int | float) and not isinstance(value, bool)
        return right and self.low <= value <= self.high

    def stored(self, value: Any) -> Any:
        """The value as a trial keeps it."""
        return value if self.whole else float(value)

    def samples(self) -> tuple[float, ...]:
        """Both ends and a value between them, which stand for the others."""
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        some = (self.low, middle, self.high)
        return tuple(int(one) for one in some) if self.whole else some


@final
@dataclass(frozen=True, kw_only=True)
class Choices:
    """One of several values.

    Attributes:
        values: Anything that YAML can say.
    """

    values: tuple[Any, ...]

    def suggest(self, trial: Any, key: str) -> Any:
        """What an optuna trial takes for a key."""
        return json.loads(trial.suggest_categorical(key, [json.dumps(value) for value in self.values]))

    def holds(self, value: Any) -> bool:
        """Whether a value is one that could be taken."""
        return json.dumps(value) in {json.dumps(one) for one in self.values}

    def stored(self, value: Any) -> Any:
        """The value as a trial keeps it."""
        return json.dumps(value)

    def samples(self) -> tuple[Any, ...]:
        """All of them."""
        return self.values


Space = Range | Choices


def parse_search(text: str) -> tuple[str, Space]:
    """Split ``key=space``.

    Args:
        text: A dotted key that begins with the file; behind the sign of equality a range, or values with commas.

    Raises:
        SpecError: It says something else.

    Example:
        >>> parse_search("learner.optimizer.lr=log:1e-4..1e-1")
        ('learner.optimizer.lr', Range(low=0.0001, high=0.1, log=True, whole=False))
        >>> parse_search("model.nodes.encoder.args.widths=[16], [32, 16]")[1].values
        ([16], [32, 16])
    """
    key, equals, said = text.partition("=")
    kind, _, rest = key.partition(".")
    if not (equals and rest and said.strip()) or kind not in SPECS:
        near = did_you_mean(kind, SPECS) if rest else ""
        expected = f"expected a key that begins with data., model. or learner., and {_FORMS} behind it"
        raise _refused(f"{expected}; got {text!r}.", near)
    return key, space_of(key, said)


def parse_search_texts(texts: Sequence[str]) -> dict[str, str]:
    """Several of them, each checked, by key.

    Raises:
        SpecError: One says something else, or two are of the same key.

    Example:
        >>> parse_search_texts(["data.batch_size=16,32"])
        {'data.batch_size': '16,32'}
    """
    found: dict[str, str] = {}
    for text in texts:
        key, _ = parse_search(text)
        if key in found:
            raise _refused(f"{key}: it is searched twice, as {found[key]!r} and as {text.partition('=')[2]!r}.")
        found[key] = text.partition("=")[2]
    return found


def space_of(key: str, said: str) -> Space:
    """What a key may be.

    Args:
        key: The key, for the text of an error.
        said: A range, or values with commas.

    Raises:
        SpecError: It is neither.
    """
    match = _RANGE.fullmatch(said)
    if match:
        return _range(key, said, bool(match[1]), match[2], match[3])
    if ".." in said and "," not in said:
        raise _refused(f"{key}: expected {_FORMS}; got {said!r}.")
    _, values = parse_override(f"{key}=[{said}]")
    if len(values) < 2:
        raise _refused(
            f"{key}: one value alone is no choice; expected {_FORMS}; got {said!r}.", "--set gives one value."
        )
    return Choices(values=tuple(values))


def _range(key: str, said: str, log: bool, first: str, last: str) -> Range:
    whole = all(re.fullmatch(r"[-+]?\d+", number) for number in (first, last))
    low, high = float(first), float(last)
    if not low < high:
        raise _refused(f"{key}: expected a range that rises, got {said!r}.")
    if log and low <= 0:
        raise _refused(f"{key}: expected a logarithmic range above zero, got {said!r}.")
    return Range(low=low, high=high, log=log, whole=whole)


def _refused(problem: str, fix: str = "") -> SpecError:
    return SpecError("--search", [Mistake(key="", problem=problem, fix=fix)])
