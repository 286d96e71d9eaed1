"""From what a file says of the optimizer to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.core import LearnerError, with_lines
from jumpml.learn.optimizers._optimizers import make_optimizer
from jumpml.learn.optimizers._param_groups import Group

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from jumpml.core import LearnerSpec
    from jumpml.graph import Model


def build_optimizer(spec: LearnerSpec, model: Model) -> Optimizer:
    """The optimizer that the file names.

    Raises:
        SpecError: Torch's class does not take these arguments.
    """
    try:
        return make_optimizer(model, **optimizer_options(spec))
    except LearnerError as error:
        raise with_lines(error, spec) from None


def optimizer_options(spec: LearnerSpec) -> dict[str, Any]:
    """What the file says of the optimizer, as `make_optimizer` takes it."""
    said = spec.optimizer
    groups = [
        Group(
            nodes=(one.nodes,) if isinstance(one.nodes, str) else one.nodes,
            lr=one.lr,
            kind=one.kind,
            arguments=one.model_extra or {},
        )
        for one in said.groups
    ]
    told = {"kind": said.kind, "lr": said.lr, "layer_decay": said.layer_decay, "no_decay": said.no_decay}
    return {**told, "groups": groups, "arguments": said.model_extra or {}}
