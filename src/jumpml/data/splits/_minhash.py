"""Texts as sets of hashed shingles, and which of them are likely to be similar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

LENGTH = 3  # tokens of a shingle
FEWEST = 5  # different shingles of a text that is compared
BANDS, ROWS = 12, 5
NONE = np.uint64(2**64 - 1)  # after the end of a text


def shingles(tokens: Tensor) -> NDArray[np.uint64]:
    """Each text's different shingles, hashed and ascending; `NONE` fills the rows up.

    Args:
        tokens: int64 ``[rows, length]``, 0 after the end.
    """
    ids = tokens.cpu().numpy().astype(np.uint64)
    width = max(0, ids.shape[1] - LENGTH + 1)
    factors = np.random.default_rng(1997).integers(0, 2**64, LENGTH, dtype=np.uint64)
    hashed = np.zeros((len(ids), width), dtype=np.uint64)
    inside = np.ones((len(ids), width), dtype=bool)
    for place, factor in enumerate(factors):
        part = ids[:, place : place + width]
        hashed += part * (factor | np.uint64(1))
        inside &= part > 0
    hashed = np.where(inside, _mixed(hashed) & np.uint64(2**63 - 1), NONE)
    hashed.sort(axis=1)
    hashed[:, 1:][hashed[:, 1:] == hashed[:, :-1]] = NONE
    hashed.sort(axis=1)
    return hashed


def minhash_candidates(later: NDArray[np.uint64], earlier: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Pairs of rows with equal minima in a band; of several equal rows of ``earlier``, the first.

    Args:
        later: From `shingles`.
        earlier: Likewise.

    Returns:
        int64 ``[pairs, 2]``, different.
    """
    kept = [np.flatnonzero((sets != NONE).sum(1) >= FEWEST) for sets in (later, earlier)]
    found = [np.empty((0, 2), dtype=np.int64)]
    for band in range(BANDS if all(map(len, kept)) else 0):
        keys = [_band(sets[rows], band) for sets, rows in zip((later, earlier), kept, strict=True)]
        distinct, firsts = np.unique(keys[1], return_index=True)
        place = np.searchsorted(distinct, keys[0]).clip(max=len(distinct) - 1)
        shared = np.flatnonzero(distinct[place] == keys[0])
        found.append(np.stack([kept[0][shared], kept[1][firsts[place[shared]]]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def jaccard(later: NDArray[np.uint64], earlier: NDArray[np.uint64], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """The shared part of all shingles that two texts have, ``[pairs]``."""
    alike = np.empty(len(pairs))
    for index, (one, other) in enumerate(pairs):
        first, second = (sets[sets != NONE] for sets in (later[one], earlier[other]))
        shared = len(np.intersect1d(first, second, assume_unique=True))
        alike[index] = shared / (len(first) + len(second) - shared)
    return alike


def _band(sets: NDArray[np.uint64], band: int) -> NDArray[np.uint64]:
    """The minima of a band's hash functions, as one key a row."""
    key = np.zeros(len(sets), dtype=np.uint64)
    outside = sets == NONE
    for salt in np.random.default_rng([1997, band]).integers(0, 2**64, ROWS, dtype=np.uint64):
        lowest = np.where(outside, NONE, _mixed(sets ^ salt)).min(1)
        key = _mixed(key * np.uint64(0x9E3779B97F4A7C15) + lowest)
    return key


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A mapping of 64 bits to 64 bits in which every bit depends on every one (the finalizer of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
