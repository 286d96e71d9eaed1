"""A category by what the target is in its train rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from jumpml.core import did_you_mean
from jumpml.data.features._feature import Feature
from jumpml.data.features._statistics import require

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import FieldInfo
    from jumpml.data.features._train_rows import TrainRows


@final
class TargetEncode(Feature):
    """A category as the mean target of the train rows that have it, drawn towards the mean of all.

    The target is a number (its mean), a category of two classes (the share of the second) or of more (the share of
    each). A code's mean counts ``smoothing`` rows of the overall mean along; what is missing or unseen is that mean.

    A row that is trained on must not see its own target: the train loader encodes each row by the other folds' rows,
    while the validation rows, the test rows and the deployed model get the means of all train rows.
    (Micci-Barreca 2001, https://doi.org/10.1145/507533.507538; out of folds as scikit-learn's ``TargetEncoder`` does.)

    Args:
        target: The target's field.
        smoothing: How many rows of the overall mean count along.
        folds: Into how many parts the train rows fall, at least 2.

    Attributes:
        means: float32 ``[classes + 1, width]``, by code + 1.
        fold_means: float32 ``[folds, classes + 1, width]``, of the rows that are not in the fold.

    Example:
        >>> from jumpml.data import Column, TrainRows
        >>> town = Column(torch.tensor([0, 0, 1, 1]), "category", classes=("Bonn", "Kiel"))
        >>> rent = Column(torch.tensor([[10.0], [12.0], [20.0], [22.0]]), "number")
        >>> fields, step = {"town": town.info("town"), "rent": rent.info("rent")}, TargetEncode("rent", smoothing=0)
        >>> step.fit(TrainRows(town.values, fields=fields, other=lambda field: rent.values), fields["town"])
        >>> step(torch.tensor([0, 1, -1])).flatten()
        tensor([11., 21., 16.])
    """

    name = "target_encode"
    reads = ("codes",)
    learns = ("means", "fold_means")
    fills = True
    means: Tensor
    fold_means: Tensor

    def __init__(self, target: str, *, smoothing: float = 10.0, folds: int = 5) -> None:
        super().__init__()
        self.target, self.smoothing, self.folds = target, smoothing, folds

    def problem(self, field: FieldInfo, fields: Mapping[str, FieldInfo]) -> str:
        """The target must be another field, a number or a category."""
        if self.target not in fields:
            return f"target_encode: there is no field {self.target!r}. {did_you_mean(self.target, fields)}"
        kind = fields[self.target].kind
        if kind not in {"number", "category"}:
            return f"target_encode: expected a number or a category as target, got {self.target!r}, which is a {kind}."
        if self.target == field.name:
            return f"target_encode: {field.name!r} cannot be its own target."
        return ""

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Sum the target up by fold and code.

        Raises:
            DataError: No train row has a target, or only the rows of one fold.
        """
        target, targets = train.info(self.target), train.other(self.target)
        size, start = len(field.classes) + 1, 0
        width = len(target.classes) if len(target.classes) > 2 else 1
        sums = torch.zeros(self.folds * size, width + 1, dtype=torch.float64)
        for codes in train.blocks():
            rows = torch.arange(start, start + len(codes))
            start += len(codes)
            counted = _countable(targets[rows], target, width)
            sums.index_add_(0, self._fold(rows) * size + codes + 1, counted)
        by_fold = sums.view(self.folds, size, width + 1)
        others = by_fold.sum(dim=0) - by_fold
        require(others[..., -1].sum(dim=1) > 0, target, self.name)
        self.learn(means=self._means(by_fold.sum(dim=0)), fold_means=self._means(others))

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, width]`` of codes ``[batch]``."""
        return self.means[values + 1]

    def serve(self, values: Tensor, train_rows: Tensor | None = None, *, keep: bool = False) -> Tensor:
        """The means of the other folds' rows, where the rows are trained on."""
        return self(values) if train_rows is None else self.fold_means[self._fold(train_rows), values + 1]

    def _fold(self, rows: Tensor) -> Tensor:
        # The upper bits of a product with the golden ratio's 64 bits: even shares, whatever rhythm the rows have.
        return ((rows * -7046029254386353131) >> 40).remainder(self.folds)

    def _means(self, sums: Tensor) -> Tensor:
        """Means ``[..., codes, width]`` of sums and counts ``[..., codes, width + 1]``."""
        total = sums.sum(dim=-2, keepdim=True)
        overall = total[..., :-1] / total[..., -1:]
        counts = sums[..., -1:]
        known = (sums[..., :-1] + self.smoothing * overall) / (counts + self.smoothing)
        means = torch.where(counts > 0, known, overall)
        means[..., :1, :] = overall  # a code of -1 is no class of its own
        return means.float()


def _countable(targets: Tensor, target: FieldInfo, width: int) -> Tensor:
    """What is summed of some rows, float64 ``[rows, width + 1]``, the last a one; zeros where the target is missing."""
    if target.kind == "number":
        present, values = ~targets[:, 0].isnan(), targets.double().nan_to_num()
    else:
        present = targets >= 0
        values = torch.nn.functional.one_hot(targets.clamp(min=0), max(2, len(target.classes))).double()
        values = values[:, 1:2] if width == 1 else values
    return torch.cat([values, torch.ones(len(targets), 1, dtype=torch.float64)], dim=1) * present.unsqueeze(1)
