"""What logits and similarities are divided by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jumpml.objectives._module import ObjectiveModule


def checked_temperature(objective: ObjectiveModule, temperature: float, name: str = "a temperature") -> float:
    """What logits are divided by.

    Args:
        objective: For the error.
        temperature: The number.
        name: What the objective calls it, with its article.

    Raises:
        ObjectiveError: It is not above 0.
    """
    if not 0 < temperature < float("inf"):
        raise objective.error(f"expected {name} above 0, got {temperature}.")
    return temperature
