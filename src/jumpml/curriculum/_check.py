"""What options must be."""

from __future__ import annotations

from jumpml.core import LearnerError


def positive(kind: str, name: str, value: float) -> float:
    """A number above 0.

    Raises:
        LearnerError: It is not.
    """
    if not 0 < value < float("inf"):
        raise LearnerError(f"{kind}: expected {name} above 0, got {value!r}.")
    return value
