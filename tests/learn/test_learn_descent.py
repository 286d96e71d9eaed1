"""The way from losses to gradients, whatever torch is called inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from jumpml.core import Loss
from jumpml.learn.steps._descent import Descent, directly

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _looked_up_anew() -> Iterator[None]:
    directly.cache_clear()
    yield
    directly.cache_clear()


def gradient() -> list[float]:
    weight = torch.tensor([1.0, 2.0], requires_grad=True)
    there = torch.tensor([True, False, True])
    rows = weight.sum() * torch.tensor([1.0, 5.0, 3.0])
    descent = Descent({"rows": 2.0, "all": 1.0})
    descent.back(descent.starts({"rows": Loss(rows, there), "all": Loss(weight.square().sum())}).values())
    assert weight.grad is not None
    return weight.grad.tolist()


class Engine:
    def __init__(self, run_backward: Any) -> None:
        self.run_backward = run_backward


def unknown_argument(roots: Any, gradients: Any, retain: bool, create: bool, inputs: Any) -> None:
    raise AssertionError("its arguments are others")


@pytest.mark.parametrize("engine", [None, Engine(unknown_argument), Engine(lambda *_, **__: None)])
def test_a_torch_whose_engine_is_another_gives_the_same_gradients(monkeypatch: pytest.MonkeyPatch, engine: Any) -> None:
    assert directly() is not torch.autograd.backward  # this torch has the one that is meant
    expected = gradient()
    assert expected == [6.0, 8.0]  # 2 * (1 + 3) / 2 of the rows that count, and 2 w
    directly.cache_clear()
    monkeypatch.setattr(torch.autograd.Variable, "_execution_engine", engine)
    assert directly() is torch.autograd.backward
    monkeypatch.undo()
    monkeypatch.setattr("jumpml.learn.steps._descent.directly", lambda: torch.autograd.backward)
    assert gradient() == expected


def test_it_is_found_where_gradients_are_off() -> None:
    with torch.inference_mode():
        assert directly() is not torch.autograd.backward
