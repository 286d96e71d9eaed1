"""How well one variable predicts the target by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jumpml.data.profiling._variables import Variable

ROWS = 10_000  # that trees learn from and are asked about
FEWEST = 30  # rows: with fewer, a score would be chance
FOLDS = 3
LEAVES = 256
MOST_VARIABLES = 500  # that are asked


def scores_alone(variables: list[Variable], target: Variable) -> dict[str, float]:
    """By variable, how well a small decision tree predicts the target from it alone, on held-out rows.

    All rows are train rows: the test stays untouched. Each third of them is predicted by a tree that learned from the
    other two. A category's score is the mean share of right answers over its classes, from chance (0) to 1; a number's
    is R squared, with 0 in place of what is below.

    Args:
        variables: Those of other fields; only the first `MOST_VARIABLES` are asked.
        target: A category or a number.
    """
    found = {}
    for variable in variables[:MOST_VARIABLES]:
        if len(variable.values) == len(target.values):
            truth, values = target.of("train"), variable.of("train")
        else:  # one of the two was looked at in fewer rows
            truth, values = _aligned(target, variable)
        known = np.flatnonzero(~np.isnan(truth))
        if len(known) > ROWS:
            known = np.random.default_rng(0).choice(known, ROWS, replace=False)
        if len(known) >= FEWEST and len(np.unique(truth[known])) > 1:
            found[variable.name] = _score(values[known], truth[known], is_category=target.kind == "category")
    return found


def _aligned(target: Variable, variable: Variable) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both variables' values of the train rows that both know of."""
    ours, theirs = target.splits == 0, variable.splits == 0
    _, first, second = np.intersect1d(target.order[ours], variable.order[theirs], return_indices=True)
    return target.values[ours][first], variable.values[theirs][second]


def _score(values: NDArray, truth: NDArray, *, is_category: bool) -> float:
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if len(np.unique(values)) < 2:  # NaN counts as one value
        return 0.0
    low, high = np.nanmin(values), np.nanmax(values)
    # From 0 to 1: scikit-learn's trees are of float32, which could not tell two days apart.
    inputs = ((values - low) / (high - low if high > low else 1.0))[:, None]
    size: Any = {"min_samples_leaf": max(2, len(values) // 500), "max_leaf_nodes": LEAVES, "random_state": 0}
    folds = KFold(FOLDS, shuffle=True, random_state=0)
    if is_category:
        truth = truth.astype(np.int64)
        tree = DecisionTreeClassifier(class_weight="balanced", **size)
        return _above_chance(np.asarray(cross_val_predict(tree, inputs, truth, cv=folds)), truth)
    told = np.asarray(cross_val_predict(DecisionTreeRegressor(**size), inputs, truth, cv=folds))
    return max(0.0, float(1 - np.square(truth - told).sum() / np.square(truth - truth.mean()).sum()))


def _above_chance(told: NDArray, truth: NDArray) -> float:
    """The mean share of right answers over the classes, scaled so that chance is 0."""
    classes, codes = np.unique(truth, return_inverse=True)
    shares = np.bincount(codes, weights=told == truth) / np.bincount(codes)
    chance = 1 / len(classes)
    return max(0.0, float((shares.mean() - chance) / (1 - chance)))
