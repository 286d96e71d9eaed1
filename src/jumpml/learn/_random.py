"""The learner's own stream of random numbers, apart from the user's."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from jumpml.core import derive_seed

if TYPE_CHECKING:
    from types import TracebackType


class RandomState:
    """Global generators (torch's on every device, Python's, NumPy's) as they are inside the learner.

    Dropout and its like draw from global generators. Inside ``with`` those stand where the learner left them; outside
    they are the user's, untouched. So what a program draws between two epochs changes nothing in training.

    Args:
        seed: Where the learner's stream starts.

    Example:
        >>> state = RandomState(0)
        >>> with state:
        ...     first = torch.rand(1)
        >>> _ = torch.rand(5)
        >>> with state:
        ...     second = torch.rand(1)
        >>> bool(first == second)
        False
    """

    def __init__(self, seed: int) -> None:
        outer = _capture()
        torch.manual_seed(derive_seed(seed, "torch"))
        random.seed(derive_seed(seed, "python"))
        np.random.seed(derive_seed(seed, "numpy") % 2**32)
        self._inner = _capture()
        self._outer: dict[str, Any] | None = None
        _restore(outer)

    def __enter__(self) -> Self:
        self._outer = _capture()
        _restore(self._inner)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inner = _capture()
        if self._outer is not None:
            _restore(self._outer)
        self._outer = None

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values; the present state, inside ``with`` or outside."""
        return self._inner if self._outer is None else _capture()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        if self._outer is None:
            self._inner = state
        else:
            _restore(state)


def _capture() -> dict[str, Any]:
    version, internal, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "python": {"version": version, "internal": torch.tensor(internal, dtype=torch.int64), "gauss": gauss},
        "numpy": {
            "keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "cached": float(cached),
        },
    }


def _restore(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_initialized():
        torch.cuda.set_rng_state_all(state["cuda"])
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["internal"].tolist()), python["gauss"]))
    keys = numpy["keys"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, numpy["position"], numpy["has_gauss"], numpy["cached"]))
