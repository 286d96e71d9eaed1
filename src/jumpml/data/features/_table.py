"""A table's columns as one vector."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, final

import torch
from torch import Tensor

from jumpml.core import Element
from jumpml.data.features._feature import Feature
from jumpml.data.features._statistics import positive

if TYPE_CHECKING:
    from jumpml.core import FieldInfo, ValueInfo
    from jumpml.data.features._train_rows import TrainRows


@final
class Encode(Feature):
    """All columns of a table as one vector: standardized numbers, then indicators, then categories.

    Of the columns, in their order: each number less its mean over its deviation, 0 where it is missing; for each number
    that some train row lacks, 1 where it is missing and else 0; then the categories.

    Args:
        categories: ``one_hot``: an element a class, all zeros where it is missing or no train row has it; or ``index``:
            an element a category, a whole number for an embedding of ``classes + 1`` rows, 0 where it is missing or
            no train row has it and else ``code + 1``.

    Attributes:
        numbers: int64 ``[numbers]``, which columns they are.
        mean, std: float32 ``[numbers]``; 0 and 1 where the train rows are constant or have none.
        lacking: int64, which columns get an indicator.
        places: int64, for each element of the categories, the column that it reads.
        codes: float32, for each such element of ``one_hot``, the code that makes it 1; -2 where no train row has it.
        starts: int64, for each such element of ``index``, where its column's part of `indices` begins.
        indices: float32, the indices of ``index`` by code + 1, column after column.

    Example:
        >>> from jumpml.core import FieldInfo, ValueInfo
        >>> from jumpml.data import TrainRows
        >>> age = FieldInfo(name="age", kind="number", value=ValueInfo(shape=(1,)))
        >>> sex = FieldInfo(name="sex", kind="category", value=ValueInfo(shape=(), dtype="int64"), classes=("f", "m"))
        >>> body = FieldInfo(name="body", kind="table", value=ValueInfo(shape=(2,)), columns=(age, sex))
        >>> rows, step = torch.tensor([[20.0, 1.0], [60.0, 0.0], [float("nan"), 0.0]]), Encode()
        >>> step.fit(TrainRows(rows), body)
        >>> step(rows)
        tensor([[-1.,  0.,  0.,  1.],
                [ 1.,  0.,  1.,  0.],
                [ 0.,  1.,  1.,  0.]])
    """

    name = "encode"
    reads = ("table",)
    learns = ("numbers", "mean", "std", "lacking", "places", "codes", "starts", "indices")
    fills = True
    numbers: Tensor
    mean: Tensor
    std: Tensor
    lacking: Tensor
    places: Tensor
    codes: Tensor
    starts: Tensor
    indices: Tensor

    def __init__(self, categories: Literal["one_hot", "index"] = "one_hot") -> None:
        super().__init__()
        self.one_hot = categories == "one_hot"

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Take means and deviations, and note what is missing and which classes the train rows have."""
        self._fit_numbers(train, field)
        self._fit_categories(train, field)

    def described(self, value: ValueInfo) -> ValueInfo:
        """What each element is, and of ``index`` how many indices each category has."""
        roles = [
            (self.numbers, "number"),
            (self.lacking, "missing"),
            (self.places, "class" if self.one_hot else "index"),
        ]
        value = replace(value, elements=tuple(Element(at, role) for places, role in roles for at in places.tolist()))
        if self.one_hot:
            return value
        ends = [*self.starts.tolist(), len(self.indices)]
        sizes = [after - before for before, after in pairwise(ends)]
        return replace(value, cardinalities=(*[0] * (len(self.numbers) + len(self.lacking)), *sizes))

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, width]`` of ``[batch, columns]``."""
        scaled = (values.index_select(1, self.numbers) - self.mean) / self.std
        scaled = torch.where(torch.isnan(scaled), 0.0, scaled)
        lacking = torch.isnan(values.index_select(1, self.lacking)).to(torch.float32)
        codes = values.index_select(1, self.places)
        if self.one_hot:
            return torch.cat([scaled, lacking, (codes == self.codes).to(torch.float32)], dim=1)
        index = self.indices[torch.where(torch.isnan(codes), 0.0, codes + 1).long() + self.starts]
        return torch.cat([scaled, lacking, index], dim=1)

    def _fit_numbers(self, train: TrainRows, field: FieldInfo) -> None:
        numbers = torch.tensor([at for at, column in enumerate(field.columns) if column.kind == "number"]).long()
        total = count = rows = torch.zeros(len(numbers), dtype=torch.float64)
        for block in train.blocks():
            part = block[:, numbers].double()
            total, count, rows = total + part.nansum(0), count + (~part.isnan()).sum(0), rows + len(part)
        mean = total / count.clamp(min=1)
        squares = torch.zeros_like(mean)
        for block in train.blocks():
            squares += (block[:, numbers].double() - mean).square().nansum(0)
        std = positive((squares / count.clamp(min=1)).sqrt(), mean)
        self.learn(numbers=numbers, mean=mean.float(), std=std, lacking=numbers[count < rows])

    def _fit_categories(self, train: TrainRows, field: FieldInfo) -> None:
        found = {at: len(column.classes) for at, column in enumerate(field.columns) if column.kind == "category"}
        seen = {at: torch.zeros(size + 1, dtype=torch.int64) for at, size in found.items()}
        for block in train.blocks():
            for at, size in found.items():
                seen[at] += torch.bincount(block[:, at].nan_to_num(nan=-1.0).long() + 1, minlength=size + 1)
        none = torch.zeros(0)
        known = [counts[1:] > 0 for counts in seen.values()]
        if self.one_hot:
            places = [at for at, size in found.items() for _ in range(size)]
            codes = torch.cat([none, *(torch.arange(len(has)).where(has, -2).float() for has in known)])
            self.learn(places=torch.tensor(places).long(), codes=codes, starts=none.long(), indices=none)
            return
        indices = [torch.cat([torch.zeros(1), torch.arange(1.0, len(has) + 1).where(has, 0)]) for has in known]
        starts = torch.tensor([0, *(len(part) for part in indices)]).cumsum(0)[:-1]
        self.learn(
            places=torch.tensor(list(found)).long(), codes=none, starts=starts, indices=torch.cat([none, *indices])
        )
