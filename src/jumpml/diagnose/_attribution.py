"""What each element of the input contributed to decisions on test rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from jumpml.core import AttributedExample, Attribution, DataError, Figure, derive_seed, field_of
from jumpml.diagnose._decision import Decision
from jumpml.diagnose._elements import elements_of, value_grid
from jumpml.diagnose._examples import choose_examples, decisions_of, in_words
from jumpml.diagnose._gradients import Explanation, unreached
from jumpml.diagnose._rows import train_moments
from jumpml.evaluate import featurised, inputs_of, num_resamples, percentiles, resamples, sample_positions

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.core import Task
    from jumpml.data import DataLoaders
    from jumpml.diagnose._elements import Elements
    from jumpml.evaluate import Positions, Predictions
    from jumpml.graph import Model

ROWS = 64  # that attributions and the areas of their curves are averaged over


def attribute(
    loaders: DataLoaders, model: Model, task: str, predictions: Predictions | Positions, seed: int
) -> tuple[list[Attribution], list[str]]:
    """Attribute a task's decisions on test rows to the elements of its inputs.

    The baseline is the train rows' mean as the model reads it: the grey mean picture, an average number, the classes'
    shares. All inputs are explained and ranked together, so their records share one set of areas.

    Args:
        loaders: The data.
        model: In evaluation mode.
        task: The task's name.
        predictions: Of the test rows.
        seed: Of the rows that are drawn, and of the random order.

    Returns:
        A record an input, and what was left out.
    """
    if model.tasks[task].brings.decides == "embedding":
        return [], [f"{task}: an embedding decides nothing by itself, so that there is nothing to attribute."]
    generator = torch.Generator().manual_seed(derive_seed(seed, "attribution", task))
    decision, explained, notes = _explainable(loaders, model, task)
    if not explained:
        return [], notes
    elements = elements_of(loaders, model, explained)
    sample = sample_positions(loaders, "test", ROWS, generator, fields=model.needs(model.tasks[task].output))
    shown = choose_examples(decision.kind, predictions, generator)
    values = featurised(loaders, "test", decision.inputs, torch.cat([sample, shown]))
    explanation = Explanation(
        decision,
        elements,
        inputs=[values[name] for name in explained],
        held=[values[name] for name in decision.inputs[len(explained) :]],
        baselines=[_baseline(loaders, model, name, values[name]) for name in explained],
    )
    areas = explanation.areas(slice(len(sample)), generator)
    figures = {name: mean_figure(values) for name, values in vars(areas).items()}
    answers = _answers(loaders, model.tasks[task], predictions, shown)
    records = [
        Attribution(
            task=task,
            field=part.field,
            kind=part.kind,
            mean_absolute=part.grid(contributions[: len(sample)].abs().mean(0)),
            examples=_examples(part, answers, _values(loaders, part, shown), contributions[len(sample) :]),
            convergence=float(explanation.errors[: len(sample)].abs().max()),
            **figures,
        )
        for part, contributions in zip(elements, explanation.by_element(), strict=True)
    ]
    return records, notes


def _explainable(loaders: DataLoaders, model: Model, task: str) -> tuple[Decision, tuple[str, ...], list[str]]:
    """The decision with its explained inputs first, which those are, and why not the others."""
    kind, output, quantiles = model.tasks[task].kind, model.tasks[task].output, model.tasks[task].quantiles
    inputs = inputs_of(model, output)
    floats = tuple(name for name in inputs if model.inputs[name].dtype.startswith("float"))
    held = tuple(name for name in inputs if name not in floats)
    plan = model.plan([output], inputs)
    decision = Decision(kind=kind, output=output, plan=plan, inputs=(*floats, *held), quantiles=quantiles)
    values = featurised(loaders, "test", decision.inputs, torch.arange(1))
    cut = {floats[index] for index in unreached(decision, len(floats), list(values.values()))}
    explained = tuple(name for name in floats if name not in cut)
    notes = [
        f"{task}: {name!r} is a whole number to the model; it has no attribution and is held fixed."
        for name in held
        if field_of(name) == name
    ]
    notes += [f"{task}: no gradient reaches {name!r}; it has no attribution and is held fixed." for name in sorted(cut)]
    notes += [
        f"{task}: {name!r} holds codes of categories; they have no attribution and are held fixed."
        for name in explained
        if any(model.inputs[name].cardinalities)
    ]
    order = (*explained, *(name for name in inputs if name not in explained))
    return replace(decision, inputs=order), explained, notes


def _baseline(loaders: DataLoaders, model: Model, name: str, values: Tensor) -> Tensor:
    """Where the path to some rows' values of an input begins: the train rows' mean, but for codes, which stay."""
    mean = train_moments(loaders, name)[0].to(values.device)
    if not any(model.inputs[name].cardinalities):
        return mean
    return torch.where(torch.tensor(model.inputs[name].cardinalities, device=values.device) > 0, values, mean)


def mean_figure(values: Tensor) -> Figure:
    """The mean over rows ``[n]`` with its bootstrap interval."""
    values = values.double().cpu()
    rows = len(values)
    low, high = percentiles(values[resamples(rows, num_resamples(rows))].mean(1).tolist())
    return Figure(value=float(values.mean()), low=low, high=high, n=rows)


def _answers(
    loaders: DataLoaders, task: Task, predictions: Predictions | Positions, positions: Tensor
) -> list[dict[str, Any]]:
    """Row number, target and decision of some test rows."""
    target = loaders.fields[task.target]
    decisions = decisions_of(task.kind, predictions)[positions]
    truths = predictions.target[positions]
    return [
        {
            "row": int(loaders.test.rows[position]),
            "target": in_words(task.kind, target, truth),
            "predicted": in_words(task.kind, target, decision),
        }
        for position, truth, decision in zip(positions.tolist(), truths, decisions, strict=True)
    ]


def _values(loaders: DataLoaders, part: Elements, positions: Tensor) -> Tensor:
    """A field of some test rows as it is shown: decoded, but with what stands in for a missing number.

    Where features made other elements of it, such as a spectrum of a sound, it is shown as the model reads it.
    """
    decoded = loaders.test.take(part.field, positions)
    read = loaders.features.apply_to(part.field, decoded)
    if replace(part, shape=tuple(decoded.shape[1:])).grid_shape != part.grid_shape:
        return read
    if not decoded.isnan().any():
        return decoded
    try:
        return torch.where(decoded.isnan(), loaders.to_raw(part.field, read), decoded)
    except DataError:  # a step that cannot be undone
        return read


def _examples(
    part: Elements, answers: list[dict[str, Any]], values: Tensor, contributions: Tensor
) -> tuple[AttributedExample, ...]:
    return tuple(
        AttributedExample(**answer, value=value_grid(part.kind, value), attribution=part.grid(contribution))
        for answer, value, contribution in zip(answers, values, contributions, strict=True)
    )
