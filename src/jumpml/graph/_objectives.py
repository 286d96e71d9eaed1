"""What the graph asks of objectives, which it knows by their protocol alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import Objective, ObjectiveError, Problem, Remembering, ValueInfo, refusal
from jumpml.graph._random import own_draws

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from jumpml.graph._model import Model


def draws_of(objective: Objective) -> tuple[str, ...]:
    """The draws that an objective's views stand for: one policy is drawn as often as it says, two are drawn once each.

    ``("strong",)`` are ``("strong.0", "strong.1")`` where it says twice, and ``("weak", "strong")`` are ``("weak.0",
    "strong.0")``; or, where it says ``(1, 2)``, ``("weak.0", "strong.0", "strong.1")``.
    """
    views, draws = objective.views, objective.draws
    counts = draws if isinstance(draws, tuple) else (draws,) if len(views) == 1 else (1, 1)
    drawn = [view for view, count in zip(views, counts, strict=False) for _ in range(count)]
    return tuple(f"{view}.{drawn[:position].count(view)}" for position, view in enumerate(drawn))


def connect(
    path: tuple[str, str],
    objective: Objective,
    known: Mapping[str, ValueInfo],
    held: Mapping[str, nn.Module],
    seed: int | None,
) -> None:
    """Let an objective check what it reads and make its own parameters.

    Args:
        path: Where it stands: ``("objectives", name)``, or under tasks where it is a task's own.
        objective: The objective.
        known: Shape and type of all values and of all fields that are known.
        held: The modules whose parameters it reads, by their name within the model.
        seed: Of its own parameters, together with its name.

    Raises:
        ObjectiveError: The shapes do not fit; the text names the objective.
    """
    parameters = parameters_of(held)
    try:
        with own_draws(seed, "objective", path[1]):
            objective.connect([known.get(reference) for reference in objective.inputs], parameters)
    except ObjectiveError as error:
        raise refusal(ObjectiveError, [Problem(path, str(error))]) from error


def parameters_of(held: Mapping[str, nn.Module]) -> dict[str, nn.Parameter]:
    """The parameters of modules, by their names within the model.

    Args:
        held: The modules, by theirs.
    """
    return {f"{key}.{own}": p for key, module in held.items() for own, p in module.named_parameters()}


def remember(path: tuple[str, str], objective: Remembering, model: Model) -> None:
    """Let an objective copy what it compares the model with.

    Raises:
        ObjectiveError: It cannot; the text names the objective.
    """
    try:
        objective.remember(model)
    except ObjectiveError as error:
        raise refusal(ObjectiveError, [Problem(path, str(error))]) from error
