"""A policy over arms: a softmax that is linear in what is known of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.curriculum._teacher import Arm, Array


def names_of(arms: Sequence[Arm]) -> Array:
    """Who each arm is: one column an arm, and for products one a place on each axis.

    So what is learned of (digit, easy) tells of (digit, hard) and (ink, easy), too. A row's length is 1, so that a step
    moves an arm's own logit as far as without axes.

    Args:
        arms: The arms.

    Returns:
        float64 ``[arms, columns]``.

    Example:
        >>> from jumpml.curriculum import Arm
        >>> names_of([Arm("a/x", 1, (0, 0)), Arm("a/y", 1, (0, 1))]).round(2)
        array([[0.58, 0.  , 0.58, 0.58, 0.  ],
               [0.  , 0.58, 0.58, 0.  , 0.58]])
    """
    columns = [np.eye(len(arms))]
    for places in zip(*(arm.coordinates for arm in arms), strict=True):
        columns.append(np.equal.outer(places, np.unique(places)).astype(np.float64))
    return np.concatenate(columns, axis=1) / np.sqrt(len(columns))


def softmax(logits: Array) -> Array:
    """Shares ``[..., arms]`` that sum to 1."""
    sizes = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return sizes / sizes.sum(axis=-1, keepdims=True)
