"""The learner's own stream of random numbers, apart from the user's."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from numpy.random import MT19937, BitGenerator, mtrand

from jumpml.core import derive_seed

if TYPE_CHECKING:
    from types import TracebackType

    from torch import Tensor


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
        outer = _Streams.taken()
        mtrand.set_bit_generator(MT19937())
        torch.manual_seed(derive_seed(seed, "torch"))
        random.seed(derive_seed(seed, "python"))
        np.random.seed(derive_seed(seed, "numpy") % 2**32)
        self._inner = _Streams.taken()
        self._outer: _Streams | None = None
        self._depth = 0  # a learner works inside a loop by hand, too
        outer.install()

    def __enter__(self) -> Self:
        self._depth += 1
        if self._depth == 1:
            self._outer = _Streams.taken()
            self._inner.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth:
            return
        self._inner = _Streams.taken()
        if self._outer is not None:
            self._outer.install()
        self._outer = None

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values; the present state, inside ``with`` or outside."""
        streams = self._inner if self._outer is None else _Streams.taken()
        return streams.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        streams = _Streams.of(state)
        if self._outer is None:
            self._inner = streams
        else:
            streams.install()


class _Streams(NamedTuple):
    """The generators' states as their libraries give them, so that a switch converts nothing.

    NumPy's, which is slow to write, is put back as the generator itself.
    """

    torch: Tensor
    cuda: list[Tensor]
    python: tuple[Any, ...]
    numpy: tuple[Any, ...]
    bits: BitGenerator

    @classmethod
    def taken(cls) -> _Streams:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
        numpy, bits = np.random.get_state(), mtrand.get_bit_generator()
        return cls(torch.get_rng_state(), cuda, random.getstate(), numpy, bits)  # type: ignore[arg-type]

    def install(self) -> None:
        torch.set_rng_state(self.torch)
        if self.cuda and torch.cuda.is_initialized():
            torch.cuda.set_rng_state_all(self.cuda)
        random.setstate(self.python)
        mtrand.set_bit_generator(self.bits)
        if self.numpy[3]:  # a normal number that was drawn in advance, which is no part of the generator
            np.random.set_state(self.numpy)

    def state_dict(self) -> dict[str, Any]:
        version, internal, gauss = self.python
        _, keys, position, has_gauss, cached = self.numpy
        return {
            "torch": self.torch,
            "cuda": self.cuda,
            "python": {"version": version, "internal": torch.tensor(internal, dtype=torch.int64), "gauss": gauss},
            "numpy": {
                "keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
                "position": int(position),
                "has_gauss": int(has_gauss),
                "cached": float(cached),
            },
        }

    @classmethod
    def of(cls, state: dict[str, Any]) -> _Streams:
        python, numpy = state["python"], state["numpy"]
        keys = numpy["keys"].numpy().astype(np.uint32)
        bits = MT19937()
        bits.state = {"bit_generator": "MT19937", "state": {"key": keys, "pos": numpy["position"]}}
        return cls(
            state["torch"],
            state["cuda"],
            (python["version"], tuple(python["internal"].tolist()), python["gauss"]),
            ("MT19937", keys, numpy["position"], numpy["has_gauss"], numpy["cached"]),
            bits,
        )
