"""Whether the splits differ by more than chance: in their values, and in what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from jumpml.data.splits._splits import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from jumpml.data.profiling._variables import Variable

LEVEL = 0.01  # of being wrong anywhere: each p is compared with this over the number of tests (Bonferroni)
LARGE = 0.1  # the difference that matters, however sure it is: of two distributions
LARGE_MISSING = 0.05  # of two shares of missing values
EXPECTED = 5  # rows in a cell of a chi-squared test; classes with fewer are put together


@final
@dataclass(frozen=True, kw_only=True)
class Difference:
    """A split that differs from the train rows.

    Attributes:
        variable: What differs.
        split: ``val`` or ``test``; of missing values ``train`` too, where it lacks most.
        size: The greatest difference of two shares.
        p: How likely so large a difference is by chance alone.
        missing: Whether it is of missing values.
    """

    variable: Variable
    split: str
    size: float
    p: float
    missing: bool


def differences(variables: list[Variable]) -> list[Difference]:
    """What differs by more than chance and by more than a little.

    Numbers are compared by the test of Kolmogorov and Smirnov, categories and missing values by chi squared; as
    there are many tests, each has to be the surer (Bonferroni).
    """
    tests = [test for variable in variables for test in _tests(variable)]
    return [
        test
        for test in tests
        if test.p * len(tests) < LEVEL and test.size >= (LARGE_MISSING if test.missing else LARGE)
    ]


def _tests(variable: Variable) -> Iterator[Difference]:
    values = {split: variable.of(split) for split in SPLITS}
    known = {split: column[~np.isnan(column)] for split, column in values.items()}
    for split in ("val", "test"):
        if len(known[split]) and len(known["train"]):
            size, p = _compared(known["train"], known[split], is_category=variable.kind == "category")
            yield Difference(variable=variable, split=split, size=size, p=p, missing=False)
    lacking = {split: len(values[split]) - len(known[split]) for split in SPLITS}
    if any(lacking.values()) and all(map(len, values.values())) and any(map(len, known.values())):
        shares = {split: lacking[split] / len(values[split]) for split in SPLITS}
        counts = np.array([[lacking[split], len(known[split])] for split in SPLITS])
        yield Difference(
            variable=variable,
            split=max(shares, key=lambda split: shares[split]),
            size=max(shares.values()) - min(shares.values()),
            p=_chi_squared(counts),
            missing=True,
        )


def _compared(train: NDArray, other: NDArray, *, is_category: bool) -> tuple[float, float]:
    """The greatest difference of two shares, and its p."""
    if not is_category:
        from scipy.stats import ks_2samp

        result: Any = ks_2samp(train, other, method="asymp")
        return float(result.statistic), float(result.pvalue)
    codes = int(max(train.max(), other.max())) + 1
    counts = np.stack([np.bincount(each.astype(np.int64), minlength=codes) for each in (train, other)])
    shares = counts / counts.sum(axis=1, keepdims=True)
    return float(np.abs(shares[0] - shares[1]).sum() / 2), _chi_squared(counts)


def _chi_squared(counts: NDArray[np.int64]) -> float:
    """The p of splits by classes; rare classes are one."""
    from scipy.stats import chi2_contingency

    expected = counts.sum(axis=0) * (counts.sum(axis=1).min() / counts.sum())
    rare = expected < EXPECTED
    merged = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    merged = merged[:, merged.sum(axis=0) > 0]
    if merged.shape[1] < 2:
        return 1.0
    result: Any = chi2_contingency(merged)
    return float(result.pvalue)
