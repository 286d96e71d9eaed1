"""All that does not fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import LearnerError, refusal
from jumpml.learn.misfits._idle_encoders import idle_encoders
from jumpml.learn.misfits._no_gradient import no_gradient
from jumpml.learn.misfits._wrong_data import filled_targets, unmixed_targets
from jumpml.learn.misfits._wrong_objectives import all_labelled, equal_views, moved_steps, unknown_phases, wrong_views
from jumpml.learn.misfits._wrong_phases import (
    idle_phases,
    unknown_data,
    unmeasured_plateaus,
    vain_consolidation,
    wrong_patterns,
    wrong_schedulers,
)
from jumpml.learn.misfits._wrong_rows import lone_rows, long_batches

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch.optim import Optimizer

    from jumpml.core import Problem
    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.learn._phase import Phase


def check_fit(
    model: Model,
    loaders: DataLoaders,
    optimizer: Optimizer,
    phases: Mapping[str, Phase],
    measured: Collection[str] = (),
    *,
    count: int = 1,
) -> None:
    """Refuse what does not fit together.

    Args:
        model: The model.
        loaders: The data.
        optimizer: The optimizer.
        phases: By name.
        measured: The figures that hooks measure.
        count: How many processes share each batch.

    Raises:
        LearnerError: An objective or a phase names what there is not, a phase has nothing to do, the last batch is too
            short for what needs two rows or for the processes, or the optimizer holds parameters of another model.
    """
    own = {id(parameter) for parameter in model.parameters()}
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    foreign = sum(id(parameter) not in own for parameter in held)
    if foreign:
        raise LearnerError(
            f"the optimizer holds {foreign} of {len(held)} parameters that are not the model's: make it from "
            "model.parameters() of this very model, after the model is made."
        )
    problems = [*find_misfits(model, loaders, phases, measured, count), *wrong_schedulers(phases, optimizer)]
    if problems:
        raise refusal(LearnerError, problems)


def find_misfits(
    model: Model,
    loaders: DataLoaders,
    phases: Mapping[str, Phase],
    measured: Collection[str] = (),
    count: int = 1,
) -> list[Problem]:
    """All that does not fit in model, data, phases and the figures that hooks measure, whatever the optimizer."""
    patterns = [*wrong_patterns(model, phases), *unknown_data(loaders, phases)]
    return [
        *unknown_phases(model, phases),
        *wrong_views(model, loaders),
        *unmixed_targets(model, loaders),
        *filled_targets(model, loaders),
        *equal_views(model, loaders),
        *moved_steps(model, loaders),
        *all_labelled(model, loaders),
        *idle_phases(model, phases),
        *vain_consolidation(model, phases),
        *unmeasured_plateaus(model, phases, measured),
        *long_batches(model, loaders, phases),
        *([] if patterns else [*no_gradient(model, phases), *idle_encoders(model, phases)]),
        *(patterns or lone_rows(model, loaders, phases, count)),
    ]
