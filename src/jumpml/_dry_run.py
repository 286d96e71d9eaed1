"""Files that ask for as little as can be, and yet for something of everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import DeploySpec, PhaseSpec, load_spec

if TYPE_CHECKING:
    from jumpml.core import LearnerSpec
    from jumpml.graph import Model

_LOGS = ("progress", "jsonl", "csv", "tensorboard")  # not those that may tell somebody else


def shortened(spec: LearnerSpec, model: Model) -> LearnerSpec:
    """Every phase that would run for one epoch, and logs that stay in the run's folder.

    Args:
        spec: The learner file.
        model: Says in which phases something is learned.
    """
    from jumpml.learn import build_phases

    phases = {
        name: spec.phases.get(name, PhaseSpec()).model_copy(update={"epochs": min(1, phase.epochs)})
        for name, phase in build_phases(spec).items()
        if name in spec.phases or model.active(name)
    }
    return spec.model_copy(update={"phases": phases, "log": tuple(log for log in spec.log if log in _LOGS)})


def shortened_deploy(spec: DeploySpec) -> DeploySpec:
    """Every variant that learns for one epoch.

    Args:
        spec: The deploy file.
    """
    changes = {}
    for name, variant in spec.model_dump(mode="json")["variants"].items():
        for way, options in variant.items():
            if isinstance(options, dict) and "epochs" in options:
                changes[f"variants.{name}.{way}.epochs"] = 1
    return load_spec(DeploySpec, spec, changes)
