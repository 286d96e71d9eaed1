"""What learning left behind in memory: figures by epoch, and by example."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from jumpml.core._records import EpochRecord


@dataclass(frozen=True, kw_only=True)
class ExampleHistory:
    """One task's record of every train row at every epoch, as it was seen in training (augmented, with dropout).

    Attributes:
        rows: int64 ``[rows]``, row numbers in the data set.
        loss: float32 ``[epochs, rows]``; NaN where the row had no target.
        margin: float32 ``[epochs, rows]``: the target's logit less the best other one (multiclass), the signed logit
            (binary), the lowest signed logit of all labels (multilabel), or minus the absolute error (regression); NaN
            likewise.
        predicted: int64 ``[epochs, rows]``, the decided class; for multilabel the label that is decided most wrongly,
            or -1 where all are right; -1 for regression and where positions are decided.
    """

    rows: NDArray[np.int64]
    loss: NDArray[np.float32]
    margin: NDArray[np.float32]
    predicted: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class History:
    """What a learner remembers.

    Attributes:
        epochs: One record an epoch, in order.
        examples: By task, where examples were recorded.
    """

    epochs: list[EpochRecord] = field(default_factory=list)
    examples: dict[str, ExampleHistory] = field(default_factory=dict)
