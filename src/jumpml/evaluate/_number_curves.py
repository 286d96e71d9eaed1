"""The pictures of predicted numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from jumpml.core import Curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from jumpml.evaluate._sample import Sample

POINTS = 500  # the most that a picture holds
OUTPUTS = 6  # named ones that have pictures of their own
WINDOWS = 3  # rows of a series that are drawn


def number_curves(s: Sample) -> dict[str, tuple[Curve, ...]]:
    """Predicted against true values and residuals, of named outputs one by one, and what else the kind shows.

    With quantiles also the share of true values below each. Of a forecast the error by step beside the baselines', and
    a few windows; of series that are reconstructed a few of them.

    Args:
        s: Of a task that predicts numbers.
    """
    pictures = _by_step(s) | _windows(s) if s.past is not None else {}
    if s.kind == "reconstruction" and s.field is not None and s.field.kind == "series":
        pictures |= _windows(s)
    return pictures | (_reliability(s) if s.quantiles else {}) | _scatters(s)


def _scatters(s: Sample) -> dict[str, tuple[Curve, ...]]:
    target, decided = s.elements(s.target), s.elements(s.decided)
    parts = [(f" of {name}", place) for place, name in enumerate(s.names[:OUTPUTS])] or [("", slice(None))]
    pictures = {}
    for of, place in parts:
        true, predicted = target[:, place].flatten(), decided[:, place].flatten()
        known = ~true.isnan()
        true, predicted = true[known], predicted[known]
        kept = evenly(len(true))
        true, predicted = true[kept], predicted[kept]
        if len(true):
            pictures[f"predicted and true{of}"] = (_points(true, predicted, "true", "predicted"),)
            pictures[f"residuals{of}"] = (_points(predicted, true - predicted, "predicted", "true less predicted"),)
    return pictures


def _reliability(s: Sample) -> dict[str, tuple[Curve, ...]]:
    target = s.elements(s.target).unsqueeze(-1)
    known = ~target.isnan()
    below = ((target <= s.logits) & known).double().sum((0, 1)) / known.sum()
    axes = {"x_label": "level of the quantile", "y_label": "share of true values below it"}
    found = Curve(x=s.quantiles, y=tuple(below.tolist()), label="this model", **axes)
    return {"quantiles": (found, Curve(x=s.quantiles, y=s.quantiles, label="as it should be", **axes))}


def _by_step(s: Sample) -> dict[str, tuple[Curve, ...]]:
    named = {"this model": s.elements(s.decided), "the last value": s.aside["last"], "the last season": None}
    named["the last season"] = s.aside.get("season")
    lines = []
    for label, values in named.items():
        if values is not None:
            off = (values - s.elements(s.target)).abs().reshape(len(s), *_shape(s))
            errors = off.nanmean((0, 2))
            axes = {"x_label": "step ahead", "y_label": "mean absolute error", "label": label}
            lines.append(Curve(x=tuple(range(1, len(errors) + 1)), y=tuple(errors.tolist()), **axes))
    return {"error by step": tuple(lines)}


def _windows(s: Sample) -> dict[str, tuple[Curve, ...]]:
    """The first channel of a few rows: what came before, what came, and what was predicted."""
    rows = np.unique(np.linspace(0, len(s) - 1, min(len(s), WINDOWS) + 2).astype(int)[1:-1] if len(s) > WINDOWS else 0)
    what = "forecast" if s.past is not None else "reconstruction"
    channels = s.field.options.get("channels") if s.field else None
    name = str(channels[0]) if isinstance(channels, list) else "value"
    pictures = {}
    for number, row in enumerate(np.atleast_1d(rows).tolist(), 1):
        lines = []
        if s.past is not None:
            before = s.past[row, :, 0]
            lines.append(_line(range(1 - len(before), 1), before, "before", name))
        steps = range(1, _shape(s)[0] + 1)
        lines.append(_line(steps, s.target[row].reshape(_shape(s))[:, 0], "true", name))
        lines.append(_line(steps, s.decided[row].reshape(_shape(s))[:, 0], what, name))
        if s.quantiles:
            levels = s.logits[row].reshape(*_shape(s), -1)[:, 0]
            lines += [_line(steps, levels[:, at], f"{s.quantiles[at]:g}", name) for at in (0, -1)]
        pictures[f"{what} {number}"] = tuple(lines)
    return pictures


def _shape(s: Sample) -> tuple[int, int]:
    """Steps and channels of a row."""
    return s.field.value.shape if s.field else (s.target.shape[-1], 1)  # type: ignore[return-value]


def _line(x: Sequence[int], y: Tensor, label: str, name: str) -> Curve:
    return Curve(x=tuple(map(float, x)), y=tuple(y.double().tolist()), x_label="step", y_label=name, label=label)


def _points(x: Tensor, y: Tensor, x_label: str, y_label: str) -> Curve:
    return Curve(x=tuple(x.tolist()), y=tuple(y.tolist()), x_label=x_label, y_label=y_label)


def evenly(count: int) -> NDArray[np.int64]:
    """Places of so many at most, evenly spaced."""
    return np.unique(torch.linspace(0, count - 1, min(count, POINTS), dtype=torch.float64).long().numpy())
