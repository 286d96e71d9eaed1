"""What the self-supervised methods refuse alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.objectives._module import ObjectiveModule

CROPS = (2, 4)  # two global crops and a few local ones, as in SwAV and DINO


def checked_widths(objective: ObjectiveModule, widths: Sequence[int], name: str) -> tuple[int, ...]:
    """The widths of layers of which there is one at least.

    Args:
        objective: For the error.
        widths: The numbers.
        name: Whose layers they are.

    Raises:
        ObjectiveError: There are none.
    """
    if not widths:
        raise objective.error(f"expected the widths of one {name} layer or more, got none.")
    return tuple(widths)


def checked_count(objective: ObjectiveModule, count: int, name: str, least: int = 1) -> int:
    """How many of something an objective has.

    Args:
        objective: For the error.
        count: The number.
        name: What there is so many of.
        least: The smallest that makes sense.

    Raises:
        ObjectiveError: There are fewer.
    """
    if count < least:
        raise objective.error(f"expected {least} {name} or more, got {count}.")
    return count


def drawn_crops(objective: ObjectiveModule, crops: Sequence[int] | None) -> tuple[int, int | tuple[int, int]]:
    """How many draws are global crops, and `ObjectiveModule.draws`; one policy is drawn twice.

    Args:
        objective: It has its views already.
        crops: How often each of two policies is drawn; `CROPS` where None.

    Raises:
        ObjectiveError: They are not two numbers above 0, or there is one policy.
    """
    if len(objective.views) == 1:
        if crops is not None:
            told = "crops say how often each of two views is drawn"
            raise objective.error(f"{told}; there is one, {objective.views[0]!r}, which is drawn twice.")
        return 2, 2
    first, *rest = CROPS if crops is None else crops
    if len(rest) != 1 or min(first, *rest) < 1:
        raise objective.error(f"expected two crops above 0, one for each view; got {list(crops or ())}.")
    return first, (first, rest[0])
