"""Whether a checkpoint belongs to the run that reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping


def refuse_another_run(was: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Compare what must be the same for a resumed run to be the same run.

    Args:
        was: By name, as the checkpoint has it.
        now: As the learner has it.

    Raises:
        CheckpointError: Something differs; the text names all of it.
    """
    changed = [
        f"{key}: {was.get(key, 'none')} then, {now.get(key, 'none')} now"
        for key in {**was, **now}
        if was.get(key) != now.get(key)
    ]
    if changed:
        raise CheckpointError(
            f"the checkpoint belongs to another run: {'; '.join(changed)}. Undo the change, or start a new run."
        )
