"""What is suspicious in the values, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jumpml.data.profiling._differences import differences
from jumpml.data.profiling._records import Suspicion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jumpml.data.profiling._variables import Variable

GIVEN_AWAY = 0.97  # of a perfect score, by one variable alone
OWN_VALUE = 0.95  # different values a row, above which they tell rows apart
HALF_OWN = 0.5  # of names, above which they may
FEWEST = 20  # rows, below which that means nothing
DENSE = 2  # numbers that shuffled row numbers lie among, a row
FAR = 3.0  # interquartile ranges outside the quartiles: Tukey's "far out"
MANY_FAR = 0.02  # of the values; a bell has one in 400,000
VERY_FAR = 20.0
UNEVEN = 5.0  # rows of the most frequent class for one of the rarest


def suspicions(variables: list[Variable], scores: Mapping[str, float], target: Variable | None) -> list[Suspicion]:
    """A record for each suspicious thing, alarms first.

    Args:
        variables: All.
        scores: How well each predicts the target alone.
        target: The target's variable.
    """
    inputs = [variable for variable in variables if target is None or variable.field != target.field]
    found = [
        *_given_away(inputs, scores, target),
        *(suspicion for variable in inputs for suspicion in _identifiers(variable)),
        *_different(variables),
        *_uneven(variables, target),
        *(suspicion for variable in variables for suspicion in _outliers(variable)),
    ]
    return sorted(found, key=lambda suspicion: suspicion.level != "alarm")


def _given_away(variables: list[Variable], scores: Mapping[str, float], target: Variable | None) -> Iterator[Suspicion]:
    for variable in variables:
        score = scores.get(variable.name, 0.0)
        if target is not None and score >= GIVEN_AWAY:
            told = f"it alone predicts {target.name} almost perfectly on held-out rows ({score:.3f} of 1)."
            fix = "Is it known before the target is? If not, leave it out."
            yield Suspicion(what="gives_target_away", where=variable.name, text=f"{told} {fix}", level="alarm")


def _identifiers(variable: Variable) -> Iterator[Suspicion]:
    """Numbers and names that tell rows apart."""
    known = variable.known
    if len(known) < FEWEST or variable.kind == "date":
        return
    share = len(np.unique(known)) / len(known)
    fix = "Does it tell rows apart? A model could only learn it by heart: leave it out."
    if variable.kind == "number":
        told = _counting(variable, own=share >= OWN_VALUE)
        if told:
            yield Suspicion(what="identifier", where=variable.name, text=f"{told} {fix}", level="alarm")
    elif share >= OWN_VALUE or (share > HALF_OWN and variable.name != variable.field):  # a field's finding tells it
        told = f"{share:.0%} of the rows have a name that is new."
        level = "alarm" if share >= OWN_VALUE else "note"
        yield Suspicion(what="identifier", where=variable.name, text=f"{told} {fix}", level=level)


def _counting(variable: Variable, *, own: bool) -> str:
    """Why numbers look like those of the rows; empty where they do not."""
    in_order = variable.values[np.argsort(variable.order, kind="stable")]
    steps = np.diff(in_order[~np.isnan(in_order)])
    if bool((steps > 0).all()) or bool((steps < 0).all()):
        return f"it {'rises' if steps[0] > 0 else 'falls'} from each row to the next."
    span = float(variable.known.max() - variable.known.min())
    share = len(variable.known) / max(1, len(variable.values))
    rows = float(variable.order.max() - variable.order.min() + 1)
    if own and bool((variable.known % 1 == 0).all()) and span * share <= DENSE * rows:
        return "almost every row has another whole number, and hardly one is left out."
    return ""


def _different(variables: list[Variable]) -> Iterator[Suspicion]:
    for found in differences(variables):
        sure = f"p = {found.p:.1g}, allowing for the number of tests"
        if found.missing:
            text = f"values are missing most often in {found.split}: the shares differ by {found.size:.0%} ({sure})."
            fix = "What is missing depends on the split; is the split one of time or place?"
            what = "missing_by_split"
        else:
            text = f"the {found.split} rows differ from the train rows by {found.size:.0%} of the rows ({sure})."
            fix = "Figures will tell of other data than what was learned from; is that meant?"
            what = "shift"
        level = "note" if found.variable.kind == "date" else "alarm"  # a split by time is meant
        yield Suspicion(what=what, where=found.variable.name, text=f"{text} {fix}", level=level)


def _uneven(variables: list[Variable], target: Variable | None) -> Iterator[Suspicion]:
    """Classes of the target, or of category fields where there is none, that are far more frequent than others."""
    whole = [variable for variable in variables if variable.name == variable.field]
    asked = whole if target is None else [target]
    for variable in asked:
        if variable.kind != "category" or not len(variable.known):
            continue
        codes, counts = np.unique(variable.known.astype(np.int64), return_counts=True)
        most, least = int(counts.argmax()), int(counts.argmin())
        if counts[most] >= UNEVEN * counts[least]:
            names, total = [variable.classes[code] for code in codes], counts.sum()
            told = f"{names[most]!r} has {counts[most] / total:.1%} of the rows, {names[least]!r} {counts[least]}."
            fix = "Look at each class's figures; `sample: {balance: ...}` serves them equally often."
            yield Suspicion(what="imbalance", where=variable.name, text=f"{told} {fix}", level="note")


def _outliers(variable: Variable) -> Iterator[Suspicion]:
    """Numbers far outside the middle half."""
    known = variable.known
    if variable.kind != "number" or len(known) < FEWEST:
        return
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75]).tolist()
    width = high - low
    if width == 0:
        other = known[known != middle]
        if len(other) and np.abs(other - middle).max() > VERY_FAR * max(1.0, np.abs(other - middle).min()):
            told = (
                f"{1 - len(other) / len(known):.0%} of the values are {middle:g}, others reach {_end(known, middle)}."
            )
            yield _outlier(variable, told)
        return
    far = int(((known < low - FAR * width) | (known > high + FAR * width)).sum())
    if far > MANY_FAR * len(known) or np.abs(known - middle).max() > VERY_FAR * width:
        yield _outlier(variable, f"{far:,} values lie far outside the middle half, such as {_end(known, middle)}.")


def _end(known: np.ndarray, middle: float) -> str:
    return f"{known[np.abs(known - middle).argmax()]:g}"


def _outlier(variable: Variable, told: str) -> Suspicion:
    tame = "`clip`, `log` or `quantile` among the features tame them."
    fix = "Look at those rows." if variable.is_measure else f"Are they right? {tame}"
    return Suspicion(what="outliers", where=variable.name, text=f"{told} {fix}", level="note")
