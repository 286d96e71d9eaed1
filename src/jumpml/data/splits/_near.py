"""Rows of two splits that are nearly equal; each function says what it takes for near."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from jumpml.data.splits._duplicates import row_keys, shared_rows
from jumpml.data.splits._minhash import jaccard, minhash_candidates, shingles

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

CORRELATION = 0.99  # of pictures; unrelated digits of 8 x 8 reach 0.981, clothes of 28 x 28 0.99 in 1 of 500
DISTANCE = 0.05  # of vectors, in standard deviations
CELL = 0.05  # of numbers, likewise
SIMILARITY = 0.8  # of texts
FAR = 1e4  # standard deviations: where a row with missing values is put
BLOCK = 1024  # rows whose distances to all rows of the other split are held at once
CANDIDATES = 4  # a row's most similar thumbnails, which are then compared in full


def near_pictures(later: Tensor, earlier: Tensor) -> NDArray[np.int64]:
    """Pictures whose thumbnails correlate to at least 0.99.

    A thumbnail is the mean of the channels, averaged down to at most 32 x 32 pixels; the correlation is Pearson's, so
    that brightness and contrast do not matter. It is looked for among the four pictures whose thumbnails of at most
    8 x 8 pixels correlate most.

    Args:
        later: float ``[rows, channels, height, width]``: the pictures that are looked at.
        earlier: Likewise: those that they are compared with.

    Returns:
        int64 ``[pairs, 2]``: a row of ``later``, and the one of ``earlier`` that it is nearest to. Pictures of one
        colour are near to none.
    """
    small = [_thumbnails(pictures, 8) for pictures in (later, earlier)]
    large = [_thumbnails(pictures, 32) for pictures in (later, earlier)]
    found = []
    for start in range(0, len(later), BLOCK):
        rows = torch.arange(start, min(start + BLOCK, len(later)))
        likely = (small[0][rows] @ small[1].T).topk(min(CANDIDATES, len(earlier))).indices
        correlation = torch.einsum("rd,rcd->rc", large[0][rows], large[1][likely])
        best, place = correlation.max(dim=1)
        near = best >= CORRELATION
        found.append(torch.stack([rows[near], likely[near, place[near]]], dim=1))
    return torch.cat(found).numpy()


def near_vectors(later: Tensor, earlier: Tensor) -> NDArray[np.int64]:
    """Vectors that differ by at most 0.05 in the root of the mean square, each element in its standard deviations.

    The deviations are those of ``earlier``; elements that are the same in all its rows must be equal to within 0.05.

    Args:
        later: float ``[rows, ...]``, the rows that are looked at.
        earlier: Likewise: those that they are compared with.

    Returns:
        As `near_pictures`. Rows with missing values are near to none.
    """
    rows = [values.flatten(1).float() for values in (later, earlier)]
    known = rows[1][~rows[1].isnan().any(1)]
    if not len(known):
        return np.empty((0, 2), dtype=np.int64)
    scale = known.std(0, correction=0)
    first, second = ((values - known.mean(0)) / torch.where(scale > 0, scale, 1) for values in rows)
    second[second.isnan().any(1)] = FAR  # an infinite distance would be computed as NaN, which is the smallest
    found = []
    for start in range(0, len(later), BLOCK):
        block = first[start : start + BLOCK]
        distance, place = torch.cdist(block, second).min(dim=1)
        near = distance <= DISTANCE * block.shape[1] ** 0.5  # false for NaN
        found.append(torch.stack([start + near.nonzero()[:, 0], place[near]], dim=1))
    return torch.cat(found).numpy()


def near_numbers(later: tuple[Tensor, Tensor], earlier: tuple[Tensor, Tensor]) -> NDArray[np.int64]:
    """Rows with equal codes whose numbers fall into the same cells of a grid.

    A cell is a twentieth of a number's standard deviation wide; what falls into the same cells of the grid that is
    shifted by half a cell is near too. So numbers that differ by less than half a cell are found mostly, and by more
    than a cell never. A missing number equals a missing one. One pass over the rows, however many there are.

    Args:
        later: Numbers float ``[rows, numbers]`` and codes ``[rows, fields]`` of the rows that are looked at.
        earlier: Likewise: of those that they are compared with.

    Returns:
        As `near_pictures`.
    """
    cells = _deviation(earlier[0].double()).nan_to_num(nan=0.0) * CELL
    found: dict[int, int] = {}
    for shift in (0.5, 0.0):
        keys = {}
        for split, (numbers, codes) in (("earlier", earlier), ("later", later)):
            place = (numbers.double() / torch.where(cells > 0, cells, 1) + shift).floor()
            keys[split] = row_keys([place, codes])
        for _, _, pairs in shared_rows(keys):
            found |= dict(pairs.tolist())
    return np.array(sorted(found.items()), dtype=np.int64).reshape(-1, 2)


def near_texts(later: Tensor, earlier: Tensor) -> NDArray[np.int64]:
    """Texts whose sets of three tokens in a row have a Jaccard similarity of at least 0.8.

    Candidates are found by MinHash in 12 bands of 5 hashes: a pair of similarity 0.8 is one with a probability of 0.99,
    one of 0.4 of 0.12. Each is then compared exactly. Texts of fewer than five different such sets are near to none.

    Args:
        later: Token ids int64 ``[rows, length]``, 0 after the end: the texts that are looked at.
        earlier: Likewise: those that they are compared with.

    Returns:
        As `near_pictures`.

    References:
        Broder: On the Resemblance and Containment of Documents. SEQUENCES 1997.
    """
    first, second = shingles(later), shingles(earlier)
    pairs = minhash_candidates(first, second)
    alike = jaccard(first, second, pairs)
    order = np.lexsort((-alike, pairs[:, 0]))[: len(pairs)]
    order = order[alike[order] >= SIMILARITY]
    rows, best = np.unique(pairs[order, 0], return_index=True)
    return np.stack([rows, pairs[order, 1][best]], axis=1)


def _thumbnails(pictures: Tensor, size: int) -> Tensor:
    """Grey thumbnails without their mean and of length 1, float32 ``[rows, pixels]``."""
    found = []
    for block in pictures.split(BLOCK):
        grey = block.float().mean(1, keepdim=True)
        height, width = grey.shape[2:]
        values = F.adaptive_avg_pool2d(grey, (min(size, height), min(size, width))).flatten(1)
        values = values - values.mean(1, keepdim=True)
        length = values.norm(dim=1, keepdim=True)
        # Where a picture has one colour, only rounding is left. NaN, a missing picture, correlates with nothing.
        found.append(torch.where(length > 1e-4, values / length, 0.0))
    return torch.cat(found)


def _deviation(values: Tensor) -> Tensor:
    """Each column's standard deviation over the rows that have a value."""
    mean = values.nanmean(0)
    return (values - mean).square().nanmean(0).sqrt()
