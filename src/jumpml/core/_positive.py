"""An option that must be above 0."""

from __future__ import annotations

from jumpml.core._errors import LearnerError


def positive(kind: str, name: str, value: float) -> float:
    """A number above 0.

    Args:
        kind: Whose option it is.
        name: The option's.
        value: What it is.

    Raises:
        LearnerError: It is no such number.
    """
    if not 0 < value < float("inf"):
        raise LearnerError(f"{kind}: expected {name} above 0, got {value!r}.")
    return value
