"""Whether a node can read what it is to predict: a later step is changed, and earlier ones must not move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from jumpml.core import ValueInfo
    from jumpml.graph import Model
    from jumpml.objectives._module import ObjectiveModule

ROWS = 2
TOLERANCE = 1e-5  # relative to the largest value: sums over more steps are added in another order
BLOCKS = "jumpml.blocks.TCN, Recurrent and CausalDecoder read no later step."


def check_steps(objective: ObjectiveModule, place: int, value: ValueInfo | None) -> None:
    """Refuse an input that is no vector a step.

    Raises:
        ObjectiveError: It is not ``[batch, steps, width]``, or has fewer than two steps.
    """
    if value and (len(value.shape) != 2 or value.dtype != "float32" or value.shape[0] < 2):
        fix = "Name a node that gives every step, such as jumpml.blocks.TCN or the part `sequence` of a Recurrent."
        raise objective.wrong_shape(place, "[batch, steps, width] float32 with two steps or more", value, fix)


def refuse_peeking(objective: ObjectiveModule, model: Model, field: str, node: str, *others: str) -> None:
    """Refuse a node whose output at a step depends on what comes after it.

    The last step of a field is changed. A node with as many steps as the field may move at the last one alone; one of
    several nodes that are compared with each other, such as a context with what it reads, from there on where the first
    of the others moves.

    Args:
        objective: For its errors.
        model: The one that this is an objective of.
        field: The field whose last step is changed; nothing is checked where the node does not depend on it.
        node: The node.
        others: Nodes whose later steps are predicted; where there is none, those of the field are.

    Raises:
        ObjectiveError: The node reads ahead.
    """
    if model.node_of(node) is None or field not in model.ancestors(node):
        return
    axis = _time_axis(model, field, model.values[node].shape[0])
    if axis is None:
        return
    plain, changed = _batches(model, field, axis)
    reader = model.until(node, *others)
    modes = [(module, module.training) for module in reader.modules()]
    try:
        reader.eval()
        before, after = _passed(reader, plain), _passed(reader, changed)
    finally:
        for module, training in modes:
            module.training = training
    moved = {name: _first_moved(before[name], after[name]) for name in (node, *others)}
    steps = before[node].shape[1]
    limit = min([moved[name] for name in others] or [steps - 1])
    if others and limit == 0:  # what is predicted is in every step already
        raise objective.error(_told(others[0], 0, steps, field))
    if moved[node] < limit:
        raise objective.error(_told(node, moved[node], steps, field))


def _told(node: str, step: int, steps: int, field: str) -> str:
    return (
        f"{node!r} reads ahead: its output at step {step + 1} of {steps} changes when the last step of {field!r} does, "
        f"so that it has seen what is to be predicted. {BLOCKS}"
    )


def _time_axis(model: Model, field: str, steps: int) -> int | None:
    """Which axis of a field, rows counted, its steps are on; None where it has none, or nobody knows."""
    known, value = model.fields.get(field), model.inputs[field]
    kind, shape = known.kind if known else "", value.shape
    if kind == "audio":  # and so have spectrograms
        return len(shape)
    if kind in {"series", "text"}:
        return 1
    if kind not in {"", "tensor"} or value.dtype == "bool" or (len(shape) < 2 and value.dtype == "float32"):
        return None
    return 1 if shape[:1] == (steps,) else len(shape) if shape[-1:] == (steps,) else None


@torch.no_grad()
def _passed(reader: Model, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What is given of a batch, with the same draws each time where a node makes some."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return reader(batch)


def _batches(model: Model, field: str, axis: int) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Rows of every input, and the same with another last step of the field."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    plain = {name: _rows(value, generator).to(device) for name, value in model.inputs.items()}
    changed = {name: value.clone() for name, value in plain.items()}
    changed[field].select(axis, -1).sub_(1)
    return plain, changed


def _rows(value: ValueInfo, generator: torch.Generator) -> torch.Tensor:
    shape = (ROWS, *value.shape)
    if value.dtype == "bool":
        return torch.ones(shape, dtype=torch.bool)
    if value.dtype != "float32":  # codes above 0, so that there is one below each
        return torch.randint(1, max(value.classes or 2, 2), shape, generator=generator)
    return torch.randn(shape, generator=generator)


def _first_moved(before: torch.Tensor, after: torch.Tensor) -> int:
    """The first step that differs; the number of steps where none does."""
    distance = (before - after).abs().flatten(2).amax((0, 2))
    moved = (distance > TOLERANCE * before.abs().amax().clamp(min=1e-30)).nonzero()
    return int(moved[0]) if len(moved) else len(distance)
