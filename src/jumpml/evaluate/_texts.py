"""Texts to be looked at: how their tokens were labelled, and how a model of language goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from jumpml.core import MASK, TASK_KINDS, Continuation, LabelledText, derive_seed
from jumpml.data import Tokenizer
from jumpml.evaluate._predictions import evaluation_mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data import DataLoaders
    from jumpml.evaluate._positions import Positions
    from jumpml.graph import Model

MOST = 48  # tokens of a text that are shown, and that are drawn
CONTINUED = 3  # texts that are


def tokens_of(field: FieldInfo, ids: Tensor) -> list[str]:
    """What a text's ids stand for, without padding.

    Args:
        field: A text.
        ids: Token ids ``[length]``; -1 where nothing is known.
    """
    how: Any = field.options.get("tokenizer", {})
    known = [code for code in ids.tolist() if code >= 0 and code != how.get("padding", 0)]
    return [how["vocabulary"][code] if "vocabulary" in how else str(code) for code in known]


def text_of(field: FieldInfo, tokens: Sequence[str]) -> str:
    """Tokens as one text: characters and pieces of words next to each other, words apart.

    Args:
        field: The text that they are of.
        tokens: The tokens.
    """
    how: Any = field.options.get("tokenizer", {})
    if how.get("split") == "characters":
        return "".join(tokens)
    joined = " ".join(tokens)
    return joined.replace(f" {how['prefix']}", "") if how.get("prefix") else joined


def labelled_texts(loaders: DataLoaders, split: str, target: str, positions: Positions) -> tuple[LabelledText, ...]:
    """The rows whose tokens were labelled worst, and as many of the best.

    Args:
        loaders: The data.
        split: The split that was decided.
        target: The field of the labels.
        positions: The rows that count.
    """
    text = loaders.fields.get(str(loaders.fields[target].options.get("text")))
    how: Any = text.options.get("tokenizer") if text else None
    if text is None or how is None:  # the labels' column was made by hand, and says not of which text
        return ()
    tokenizer, most = Tokenizer(how), min(MOST, text.value.shape[0])
    told = []
    for _, place, right in positions.extremes():
        tokens = tokenizer.words(str(loaders.raw(split, [place])[0][text.name]))[:most]
        true, decided = (tuple(of[place, : len(tokens)].tolist()) for of in (positions.truths, positions.codes))
        row = int(getattr(loaders, split).rows[place])
        told.append(LabelledText(row=row, tokens=tuple(tokens), true=true, decided=decided, right=right))
    return tuple(told)


def continuations(loaders: DataLoaders, model: Model, name: str, split: str) -> tuple[Continuation, ...]:
    """How a few texts go on, drawn token by token from the model, which is given their first half.

    The draws are a function of the task's name alone. Nothing is drawn where the model does not read the text itself,
    as ids of tokens.

    Args:
        loaders: The data.
        model: It is in the mode it was in when this returns.
        name: The task's, of language modelling.
        split: Whose first rows are taken.
    """
    field = loaders.fields[model.tasks[name].target]
    batch = next(iter(getattr(loaders, split).plain()))
    whole = batch[field.name]
    if field.name not in model.inputs or whole.dtype != torch.int64 or whole.ndim != 2:
        return ()
    lengths = (whole != _padding(field)).sum(1)
    chosen = (lengths > 1).nonzero().flatten()[:CONTINUED]
    if not len(chosen):
        return ()
    start = max(1, int(lengths[chosen].min()) // 2)
    span = range(start, min(start + MOST, whole.shape[1]))
    with evaluation_mode(model), torch.inference_mode():
        drawn = _drawn(model, name, field, {key: value[chosen] for key, value in batch.items()}, span)
    numbers = getattr(loaders, split).rows[chosen.cpu()].tolist()
    return tuple(
        Continuation(
            row=row,
            start=_text(field, true[max(0, start - MOST) : start]),
            true=_text(field, true[start : span.stop]),
            drawn=_text(field, own[start : span.stop]),
        )
        for row, true, own in zip(numbers, whole[chosen].cpu(), drawn, strict=True)
    )


def _drawn(model: Model, name: str, field: FieldInfo, batch: dict[str, Tensor], span: range) -> Tensor:
    """The rows with the tokens of a span drawn, on the CPU; the model sees nothing of what was there or behind it."""
    generator = torch.Generator().manual_seed(derive_seed("continuations", name))
    padding, mask = _padding(field), field.name + MASK
    ids = batch[field.name].clone()
    ids[:, span.start :] = padding
    for place in span:
        told = {mask: ids != padding} if mask in batch else {}
        logits = model({**batch, field.name: ids, **told})[name][:, place - 1].double().cpu()
        logits[:, padding] = -torch.inf
        ids[:, place] = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0].to(ids)
    return ids.cpu()


def _padding(field: FieldInfo) -> int:
    how: Any = field.options.get("tokenizer", {})
    return int(how.get("padding", 0))


def _text(field: FieldInfo, ids: Tensor) -> str:
    return text_of(field, tokens_of(field, ids))


def shown(
    loaders: DataLoaders, model: Model, name: str, split: str, positions: Positions
) -> dict[str, tuple[LabelledText, ...] | tuple[Continuation, ...]]:
    """What a task's record holds of its texts; nothing where it decides at none.

    Args:
        loaders: The data.
        model: The model.
        name: The task's.
        split: The split that was decided.
        positions: The rows that count.
    """
    task = model.tasks[name]
    if TASK_KINDS[task.kind].truth:
        return {"continuations": continuations(loaders, model, name, split)}
    return {"texts": labelled_texts(loaders, split, task.target, positions)} if task.brings.at == "tokens" else {}
