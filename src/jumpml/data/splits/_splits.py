"""What a splitting returns: rows by split, and the rows that are in none."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, final

import numpy as np
import torch

from jumpml.core import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

SPLITS = ("train", "val", "test")
UNUSABLE = "cannot be used"


@final
class Splits(Mapping[str, "Tensor"]):
    """Row numbers by split: a mapping of ``train``, ``val`` and ``test`` to int64 ``[rows]``, ascending.

    Args:
        rows: Row numbers by split.
        left_out: Row numbers by the reason for which they are in no split.
        findings: What people should know of the split, such as shares that could not be reached.

    Attributes:
        left_out: As given.
        findings: As given.
    """

    def __init__(
        self, rows: Mapping[str, Tensor], left_out: Mapping[str, Tensor] | None = None, findings: Iterable[str] = ()
    ) -> None:
        self._rows = dict(rows)
        self.left_out: Mapping[str, Tensor] = MappingProxyType(
            {reason: out for reason, out in (left_out or {}).items() if len(out)}
        )
        self.findings = tuple(findings)

    def __getitem__(self, split: str) -> Tensor:
        return self._rows[split]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        told = {name: len(rows) for name, rows in [*self.items(), *self.left_out.items()]}
        return f"Splits({', '.join(f'{name}: {rows}' for name, rows in told.items())})"


def splits_of(parts: NDArray, left_out: Mapping[str, NDArray] | None = None) -> Splits:
    """Splits from each row's part.

    Args:
        parts: Integers ``[rows]``: 0 train, 1 val, 2 test, -1 none.
        left_out: Row numbers by reason.
    """
    rows = {name: torch.from_numpy(np.flatnonzero(parts == code)) for code, name in enumerate(SPLITS)}
    return Splits(rows, {reason: torch.from_numpy(np.asarray(out)) for reason, out in (left_out or {}).items()})


def usable_rows(count: int, usable: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Row numbers of the rows that may be dealt."""
    return np.arange(count) if usable is None else np.flatnonzero(usable)


def unusable_rows(usable: NDArray[np.bool_] | None) -> dict[str, NDArray]:
    """The other ones, by their reason."""
    return {} if usable is None else {UNUSABLE: np.flatnonzero(~usable)}


def shares_problem(train: float, val: float, test: float) -> str:
    """Why rows cannot be dealt by these shares; empty where they can."""
    total = train + val + test
    if abs(total - 1) <= 1e-6:  # .7 + .15 + .15 differs from 1 by rounding
        return ""
    return f"expected shares of train, val and test that sum to 1, got {train:g} + {val:g} + {test:g} = {total:g}."


def sizes_of(count: int, shares: Sequence[float], names: Sequence[str]) -> list[int]:
    """Whole rows by share; the first part takes what rounding leaves.

    Raises:
        DataError: A part would be empty.
    """
    others = [int(count * share + 0.5) for share in shares[1:]]
    sizes = [count - sum(others), *others]
    for name, size, share in zip(names, sizes, shares, strict=True):
        if size < 1:
            raise DataError(f"the {name} split is empty: a share of {share:g} of {count} rows.")
    return sizes
