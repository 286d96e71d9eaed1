"""Refusing a graph for all that is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import GraphError, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.core import Problem


def refuse(problems: Sequence[Problem]) -> None:
    """Raise all problems at once.

    Raises:
        GraphError: There is one.
    """
    if problems:
        raise refusal(GraphError, problems)
