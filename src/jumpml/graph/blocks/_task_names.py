"""The tasks that a block has a part for, and the axis that it works along."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def task_names(tasks: Sequence[str], least: int = 1) -> tuple[str, ...]:
    """Names that parts of a node's output can bear.

    Args:
        tasks: The names.
        least: How many there must be.

    Raises:
        ValueError: They are no list, too few, twice the same, or no name of a part.
    """
    if isinstance(tasks, str):
        raise ValueError(f"tasks must be a list of names; got {tasks!r}.")
    if other := [name for name in tasks if not isinstance(name, str)]:
        raise ValueError(f"tasks must be names, which are texts; got {', '.join(map(repr, other))}.")
    if len(tasks) < least:
        raise ValueError(f"tasks must name at least {least}; got {list(tasks)}.")
    wrong = [name for name in tasks if not name or "." in name or "@" in name]
    if wrong:
        raise ValueError(f"`node.task` reads a part: its name must not be empty, or hold '.' or '@'; got {wrong}.")
    if twice := [repr(name) for name, count in Counter(tasks).items() if count > 1]:
        raise ValueError(f"tasks must name each once; {', '.join(twice)} stands there twice.")
    return tuple(tasks)


def size_along(values: Tensor, dim: int) -> int:
    """How long an axis is that is not the batch.

    Args:
        values: ``[batch, *]``.
        dim: The axis, counting the batch as 0.

    Raises:
        ValueError: There is no such axis, or it is the batch.
    """
    if not -values.ndim < dim < values.ndim:
        told = "the batch" if dim == -values.ndim else "no axis"
        raise ValueError(f"dim={dim} is {told} of a value with {values.ndim} axes, the batch counted.")
    return values.shape[dim]
