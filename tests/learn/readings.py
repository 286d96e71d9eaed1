"""A counter of what makes the host wait for the device."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    import pytest

READING = {
    "aten._local_scalar_dense",
    "aten.nonzero",
    "aten.is_nonzero",
    "aten.equal",
    "aten.item",
    "aten.masked_select",
}
METHODS = ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__", "nonzero")


class Readings(TorchDispatchMode):
    """Counts what would make the host wait for the device, be it an operator or a method of Python's alone."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__str__()
        index = func.overloadpacket in {torch.ops.aten.index, torch.ops.aten.index_put}
        if name in READING or (
            index and any(getattr(i, "dtype", None) == torch.bool for i in args[1] if i is not None)
        ):
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


def counting_readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    """A counter that also sees methods of Python's alone.

    Args:
        monkeypatch: What patches them, for as long as it does.
    """
    counter = Readings()

    def counting(name: str) -> Any:
        original = getattr(Tensor, name)

        def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
            counter.found[name] += 1
            return original(self, *args, **kwargs)

        return method

    for name in METHODS:
        monkeypatch.setattr(Tensor, name, counting(name))
    return counter
