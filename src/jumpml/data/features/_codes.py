"""A category's codes as vectors, indices and buckets."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, final

import torch
from torch import Tensor

from jumpml.data.features._feature import Feature

if TYPE_CHECKING:
    from jumpml.core import FieldInfo, ValueInfo
    from jumpml.data.features._train_rows import TrainRows


@final
class OneHot(Feature):
    """A category as zeros with a one; all zeros where it is missing or no train row has it.

    Attributes:
        codes: int64 ``[classes]``: each class's code, or -2 where no train row has it.

    Example:
        >>> from jumpml.data import Column, TrainRows
        >>> sizes, step = Column(torch.tensor([0, 2, -1]), "category", classes=("s", "m", "l")), OneHot()
        >>> step.fit(TrainRows(sizes.values), sizes.info("size"))
        >>> step(torch.tensor([2, 1, -1]))
        tensor([[0., 0., 1.],
                [0., 0., 0.],
                [0., 0., 0.]])
    """

    name = "one_hot"
    reads = ("codes", "codes map")
    learns = ("codes",)
    fills = True
    codes: Tensor

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Note which classes the train rows have."""
        seen = count_codes(train, field)[1:] > 0
        self.learn(codes=torch.where(seen, torch.arange(len(seen)), -2))

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, classes]`` of codes ``[batch]``; ``[batch, classes, height, width]`` of a mask's."""
        codes = self.codes.view(-1, *[1] * (values.dim() - 1))
        return (values.unsqueeze(1) == codes).to(torch.float32)

    def inverse(self, values: Tensor) -> Tensor:
        """The code of the largest element; -1 where no element is above 0."""
        return torch.where(values.amax(dim=1) > 0, values.argmax(dim=1), -1)


@final
class Index(Feature):
    """A category as a whole number for an embedding of ``classes + 1`` rows.

    0 stands for what is missing or no train row has, ``code + 1`` for the classes, and ``classes + 1`` for the rare
    ones, where those share a row.

    Args:
        min_count: Classes with fewer train rows are rare: they share an index. 1 for none; else the embedding needs
            one row more.
        unknown: ``missing`` or ``rare``: what a class counts as that the data has and no train row. A name that the
            data does not know at all is missing.

    Attributes:
        indices: int64 ``[classes + 1]``: by code + 1, the index.

    Example:
        >>> from jumpml.data import Column, TrainRows
        >>> sizes, step = Column(torch.tensor([0, 2, -1]), "category", classes=("s", "m", "l")), Index()
        >>> step.fit(TrainRows(sizes.values), sizes.info("size"))
        >>> step(torch.tensor([2, 1, -1]))
        tensor([3, 0, 0])
    """

    name = "index"
    reads = ("codes",)
    learns = ("indices",)
    fills = True
    indices: Tensor

    def __init__(self, min_count: int = 1, unknown: Literal["missing", "rare"] = "missing") -> None:
        super().__init__()
        self.min_count, self.unknown = min_count, unknown

    def writes(self, incoming: str) -> str:
        """Whole numbers from 0."""
        return "indices"

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Count the train rows of each class."""
        counts = count_codes(train, field)
        shared = len(counts)
        indices = torch.arange(shared).where(counts >= self.min_count, shared)
        indices = indices.where(counts > 0, shared if self.unknown == "rare" else 0)
        indices[0] = 0
        self.learn(indices=indices)

    def described(self, value: ValueInfo) -> ValueInfo:
        """As many indices as the embedding needs rows."""
        shared = self.min_count > 1 or self.unknown == "rare"
        return replace(value, classes=len(self.indices) + shared)

    def forward(self, values: Tensor) -> Tensor:
        """Int64 ``[batch]`` of codes ``[batch]``."""
        return self.indices[values + 1]

    def inverse(self, values: Tensor) -> Tensor:
        """The code; -1 for 0 and for the index of the rare ones."""
        return torch.where(values < self.indices.shape[0], values - 1, -1)


@final
class Hash(Feature):
    """A category as one of a few indices, by a checksum of its name: an embedding of ``buckets + 1`` rows will do.

    0 stands for what is missing. Names share a bucket by chance, and always the same one, in any data set. A class that
    no train row has gets its bucket too. (Weinberger et al. 2009, https://arxiv.org/abs/0902.2206)

    Args:
        buckets: How many indices there are beside 0.
        seed: Another one shuffles the buckets.

    Attributes:
        indices: int64 ``[classes + 1]``: by code + 1, the index.

    Example:
        >>> from jumpml.data import Column, TrainRows
        >>> towns, step = Column(torch.tensor([0, 1, 2]), "category", classes=("Bonn", "Kiel", "Ulm")), Hash(3)
        >>> step.fit(TrainRows(towns.values), towns.info("town"))
        >>> step(torch.tensor([-1, 0, 1, 2]))
        tensor([0, 3, 1, 3])
    """

    name = "hash"
    reads = ("codes",)
    learns = ("indices",)
    fills = True
    indices: Tensor

    def __init__(self, buckets: int, seed: int = 0) -> None:
        super().__init__()
        self.buckets, self.seed = buckets, seed

    def writes(self, incoming: str) -> str:
        """Whole numbers from 0."""
        return "indices"

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Make the table of the classes' names."""
        digests = (hashlib.sha256(f"{self.seed}:{name}".encode()).digest() for name in field.classes)
        buckets = [int.from_bytes(digest[:8], "big") % self.buckets + 1 for digest in digests]
        self.learn(indices=torch.tensor([0, *buckets]))

    def described(self, value: ValueInfo) -> ValueInfo:
        """The buckets, and 0."""
        return replace(value, classes=self.buckets + 1)

    def forward(self, values: Tensor) -> Tensor:
        """Int64 ``[batch]`` of codes ``[batch]``."""
        return self.indices[values + 1]


def count_codes(train: TrainRows, field: FieldInfo) -> Tensor:
    """How many train rows, or pixels, have each code, int64 ``[classes + 1]``; first those that have none."""
    size = len(field.classes) + 1
    counts = torch.zeros(size, dtype=torch.int64)
    for block in train.blocks():
        counts += torch.bincount(block.flatten() + 1, minlength=size)
    return counts
