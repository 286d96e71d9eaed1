"""What is done between two tasks, so that the second does not undo the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from jumpml.core import LearnerError
from jumpml.learn.continual._fisher import fisher_information, why_no_fisher
from jumpml.objectives import EWC, L2SP, SI, LwF

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.objectives import FisherKind


def why_vain(model: Model) -> str:
    """Why consolidating a model would do nothing, or cannot be done; nothing where it can."""
    keeping = [o for o in model.objectives.values() if isinstance(o, EWC | SI | LwF)]
    keeping += [o for o in model.objectives.values() if isinstance(o, L2SP) and o.anchor == "consolidated"]
    if not keeping:
        return (
            "to consolidate, the model needs an objective that keeps what was learned: of kind ewc, si, lwf, or l2_sp "
            "with `anchor: consolidated`."
        )
    problems = [why_no_fisher(model, o.fisher) for o in keeping if isinstance(o, EWC)]
    return next(filter(None, problems), "")


def consolidate(model: Model, loaders: DataLoaders, seed: int = 0, *, average: Model | None = None) -> None:
    """Let every objective that keeps what was learned take the model as it is now.

    An EWC gets the Fisher information of the data sets that are served; SI turns its path into importance; L2-SP and
    LwF take the weights.

    Args:
        model: Its objectives are consolidated.
        loaders: The train rows are read.
        seed: Of targets that are drawn.
        average: An average of the model, which takes its buffers at each step; what LwF copied may have grown.

    Raises:
        LearnerError: There is no such objective, or the Fisher information cannot be estimated.
    """
    missing = why_vain(model)
    if missing:
        raise LearnerError(missing)
    kept = list(model.objectives.values())
    # first what may fail, then what changes: a failure leaves all as it was
    known: dict[tuple[FisherKind, int], dict[str, Tensor]] = {}
    for objective in kept:
        if isinstance(objective, EWC) and (key := (objective.fisher, objective.rows)) not in known:
            known[key] = fisher_information(model, loaders, fisher=objective.fisher, rows=objective.rows, seed=seed)
        if isinstance(objective, EWC):
            objective.check(known[objective.fisher, objective.rows])
    for objective in kept:
        if isinstance(objective, EWC):
            objective.consolidate(known[objective.fisher, objective.rows])
        elif isinstance(objective, LwF):
            objective.consolidate(model)
        elif isinstance(objective, SI | L2SP):
            objective.consolidate()
    if average is not None:
        for name, objective in average.objectives.items():
            if isinstance(objective, LwF):
                objective.load_state_dict(cast("LwF", model.objectives[name]).state_dict())
