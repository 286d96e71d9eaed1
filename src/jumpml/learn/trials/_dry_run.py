"""Two batches of everything that learning does."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jumpml.learn.trials._trial import afresh, trial_of

if TYPE_CHECKING:
    from jumpml.learn._history import RunHistory
    from jumpml.learn._learner import Learner


def dry_run(learner: Learner, batches: int) -> RunHistory:
    """See `Learner.dry_run`."""
    phases = {name: replace(phase, epochs=min(1, phase.epochs)) for name, phase in learner.phases.items()}
    with tempfile.TemporaryDirectory(prefix="jumpml-dry-run-") as folder:
        saving = learner._run.states.saving
        saving = saving and replace(saving, folder=Path(folder))
        with trial_of(learner, loaders=learner.loaders.few(batches), phases=phases, saving=saving) as trial:
            afresh(trial)
            history = trial.fit()
            if saving is not None:
                trial.save()
                trial.resume()
                trial.restore_best()
            return history
