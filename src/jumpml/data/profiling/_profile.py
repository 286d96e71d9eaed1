"""A look at the values of a data set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jumpml.core import DataError, did_you_mean
from jumpml.data.profiling._alone import scores_alone
from jumpml.data.profiling._describe import describe
from jumpml.data.profiling._drawing import draw_first
from jumpml.data.profiling._records import FieldProfile, Profile, Suspicion
from jumpml.data.profiling._suspicions import suspicions
from jumpml.data.profiling._variables import ROWS, Sampler
from jumpml.data.splits._splits import SPLITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import FieldInfo
    from jumpml.data._loaders import DataLoaders
    from jumpml.data.profiling._variables import Variable

TARGETS = ("category", "number")
EXAMPLES = 3
LETTERS = 110  # of an example


def profile(loaders: DataLoaders, target: str | None = None, *, rows: int = ROWS) -> Profile:
    """Look at every field: its values, how the splits differ, and what is suspicious.

    Pictures, sounds and other large values are measured by their mean and spread, texts by their length, a table by
    its columns. At most `rows` rows are looked at, and 500 of large values, which may be files; they are drawn by
    chance, in proportion to the splits. What `DataLoaders.findings` tells is told here too.

    Args:
        loaders: The data.
        target: A category or number field that is to be predicted. Every variable of another field is asked how well
            it predicts the target alone, by a small decision tree and on train rows only: one that can do so almost
            perfectly gives the target away.
        rows: How many rows to look at, at most.

    Raises:
        DataError: There is no such field, or it is of another kind.

    Example:
        >>> import torch
        >>> from jumpml.data import Column, DataLoaders, random_split
        >>> price = torch.rand(200, 1, generator=torch.Generator().manual_seed(0))
        >>> columns = {"price": Column(price, "number"), "tax": Column(price * 0.19, "number")}
        >>> found = profile(DataLoaders(columns, random_split(200)), "price")
        >>> [(alarm.what, alarm.where) for alarm in found.alarms]
        [('gives_target_away', 'tax')]
    """
    _refuse_target(loaders.fields, target)
    sampler = Sampler(loaders, rows)
    measured = {name: list(sampler.variables(info)) for name, info in loaders.fields.items()}
    variables = [variable for each in measured.values() for variable in each]
    wanted = None if target is None else measured[target][0]
    others = [variable for variable in variables if variable.field != target]
    scores = {} if wanted is None else scores_alone(others, wanted)
    findings = [Suspicion(what="finding", where="", text=text, level="note") for text in loaders.findings()]
    return Profile(
        name=loaders.name,
        rows={split: len(getattr(loaders, split).rows) for split in SPLITS},
        left_out={reason: len(out) for reason, out in loaders.left_out.items()},
        looked_at=max(sampler.count(info) for info in loaders.fields.values()),
        target=target,
        fields=_fields(loaders, sampler, measured, scores),
        suspicions=(*suspicions(variables, scores, wanted), *findings),
        pictures=draw_first(loaders),
    )


def _fields(
    loaders: DataLoaders, sampler: Sampler, measured: Mapping[str, list[Variable]], scores: Mapping[str, float]
) -> tuple[FieldProfile, ...]:
    first = loaders.raw("train", range(min(EXAMPLES, len(loaders.train.rows))))
    return tuple(
        FieldProfile(
            name=name,
            kind=info.kind,
            shape=info.value.shape,
            missing=info.missing,
            rows=sampler.count(info),
            classes=info.classes,
            variables=tuple(describe(variable, scores.get(variable.name)) for variable in measured[name]),
            examples=tuple(_short(row[name]) for row in first),
        )
        for name, info in loaders.fields.items()
    )


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(text.split())
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}\u2026"


def _refuse_target(fields: Mapping[str, FieldInfo], target: str | None) -> None:
    if target is None:
        return
    if target not in fields:
        raise DataError(f"the target: there is no field {target!r}. {did_you_mean(target, fields)}")
    if fields[target].kind not in TARGETS:
        wanted = "expected a field of kind category or number"
        raise DataError(f"the target: {wanted}, got {target!r}, which is of kind {fields[target].kind}.")
