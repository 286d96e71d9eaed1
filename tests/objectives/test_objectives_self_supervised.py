"""Every self-supervised kind that a file can name learns from rows alone as it should.

A kind that lands is found by itself: it runs on the made-up rows with its defaults, or as `OPTIONS` says, and on data
of its own where `EXAMPLES` has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jumpml.objectives._build import KINDS
from jumpml.testing import check_self_supervised

if TYPE_CHECKING:
    from collections.abc import Callable

SELF_SUPERVISED = [kind for kind, made in KINDS.items() if ".self_supervised." in made.__module__]
OPTIONS: dict[str, dict[str, Any]] = {
    "vicreg": {"projector": (16, 16)},
}
EXAMPLES: dict[str, Callable[[], dict[str, Any]]] = {}
"""By kind, the arguments of `check_self_supervised`."""


@pytest.mark.parametrize("kind", SELF_SUPERVISED)
def test_it_conforms(kind: str) -> None:
    if kind in EXAMPLES:
        check_self_supervised(**EXAMPLES[kind]())
    else:
        check_self_supervised(KINDS[kind](inputs="encoder", views="noisy", **OPTIONS.get(kind, {})))


@pytest.mark.parametrize("kind", SELF_SUPERVISED)
def test_a_collapse_under_two_views_says_what_to_change(kind: str) -> None:
    """`learn.Embeddings` tells it; what is masked or foretold cannot collapse so easily, and may say nothing."""
    made: Any = KINDS[kind]
    if made.draws == 2:
        assert made.if_collapsed
