"""Steps that cannot be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import LearnerError, Problem, refusal

if TYPE_CHECKING:
    import torch

    from jumpml.learn.steps._execution import Execution


def check_steps(
    execution: Execution, device: torch.device, *, accumulate: int, clips: tuple[float | None, float | None]
) -> None:
    """Refuse steps that cannot be made.

    Raises:
        LearnerError: This machine cannot compute so, or a number makes no sense.
    """
    problems = [*execution.problems(device)]
    if accumulate < 1:
        problems.append(Problem(("accumulate",), f"expected 1 or more, got {accumulate}."))
    if None not in clips:
        text = "clip_norm clips the gradient already."
        problems.append(Problem(("clip_value",), text, "Leave one of the two out."))
    for name, clip in zip(("clip_norm", "clip_value"), clips, strict=True):
        if clip is not None and not clip > 0:
            problems.append(Problem((name,), f"expected a number above 0, got {clip:g}."))
    if problems:
        raise refusal(LearnerError, problems)
