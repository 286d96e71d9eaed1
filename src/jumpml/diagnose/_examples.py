"""Test rows worth looking at, and their targets and decisions in words."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

import torch

from jumpml.core import TASK_KINDS
from jumpml.evaluate import Positions, Predictions, text_of, tokens_of
from jumpml.graph import decide

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.core import FieldInfo

WORDS = 40  # of a text that are shown
A_KIND = 4  # of the worst, and as many of the best


def choose_examples(kind: str, predictions: Predictions | Positions, generator: torch.Generator) -> Tensor:
    """Positions of the few rows that were decided worst and of as many decided best, drawn at random among equals.

    Args:
        kind: The task's.
        predictions: Of all rows of the split; those without a target are not chosen.
        generator: On the CPU.
    """
    order = torch.randperm(len(predictions.present), generator=generator)
    order = order[predictions.present[order]]
    order = order[_error(kind, predictions)[order].argsort(descending=True, stable=True)]
    return torch.cat([order[:A_KIND], order[A_KIND:][-A_KIND:]])


def decisions_of(kind: str, predictions: Predictions | Positions) -> Tensor:
    """What was decided of each row, as `decide` gives it."""
    return (
        predictions.decided
        if isinstance(predictions, Positions)
        else decide(kind, predictions.output, predictions.quantiles)
    )


def _error(kind: str, predictions: Predictions | Positions) -> Tensor:
    if isinstance(predictions, Positions):
        return 1 - predictions.right / predictions.count.clamp(min=1)
    if TASK_KINDS[kind].decides == "numbers":
        decided = decide(kind, predictions.output, predictions.quantiles)
        difference = decided.reshape(predictions.target.shape) - predictions.target
        return difference.reshape(len(difference), -1).abs().nanmean(1)
    decided = decide(kind, predictions.output)
    wrong = (decided != predictions.target.reshape(decided.shape)).float()
    return wrong.mean(1) if TASK_KINDS[kind].decides == "labels" else wrong


def in_words(kind: str, field: FieldInfo, value: Tensor) -> str:
    """A target or a decision of one row as people read it.

    Args:
        kind: The task's.
        field: The target.
        value: A class code, 0 and 1 of each label, or numbers in raw units; class codes or token ids of positions.
    """
    if TASK_KINDS[kind].at != "row":
        return _positions_in_words(field, value.flatten())
    if TASK_KINDS[kind].decides == "labels":
        return ", ".join(name for name, has in zip(field.classes, value.tolist(), strict=True) if has) or "no label"
    if field.columns:
        numbers = zip(field.columns, value.flatten().tolist(), strict=True)
        return ", ".join(f"{column.name} {'missing' if isnan(x) else f'{x:.4g}'}" for column, x in numbers)
    if TASK_KINDS[kind].decides == "numbers":
        text = f"{float(value.mean()):.4g}"
        return text if value.numel() == 1 else f"mean {text}"
    code = int(value)
    return field.classes[code] if field.classes else str(code)


def _positions_in_words(field: FieldInfo, codes: Tensor) -> str:
    """The commonest classes with their shares; of a text its beginning."""
    if not field.classes:
        return _text(field, codes)
    known = codes[codes >= 0]
    shares = known.bincount(minlength=len(field.classes)).double() / max(len(known), 1)
    common = [code for code in shares.argsort(descending=True, stable=True).tolist()[:3] if shares[code] > 0]
    return ", ".join(f"{shares[code]:.0%} {field.classes[code]}" for code in common) or "nothing known"


def _text(field: FieldInfo, ids: Tensor) -> str:
    """The beginning of what a text's ids stand for."""
    tokens = tokens_of(field, ids)
    return text_of(field, tokens[:WORDS]) + "..." * (len(tokens) > WORDS)
