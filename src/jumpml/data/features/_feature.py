"""What every feature step is: a configured module, fitted on train rows, that goes along with the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from jumpml.core import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import FieldInfo, ValueInfo
    from jumpml.data.features._train_rows import TrainRows

WORDS = ("numbers", "codes", "codes map", "indices", "dates", "tokens", "labels", "table")  # what fields and steps give


class Feature(nn.Module, ABC):
    """One deterministic step on a batch of one field. What it learns from the train rows are its buffers.

    An instance holds its settings. A data set fits a copy of it for each field, so that one instance serves many.

    Attributes:
        name: What files call it.
        reads: What may come in, of `WORDS`.
        learns: The names of its buffers; empty where there is nothing to learn.
        fills: Whether what is missing comes out as something that a node can read.
    """

    name: ClassVar[str]
    reads: ClassVar[tuple[str, ...]]
    learns: ClassVar[tuple[str, ...]] = ()
    fills: bool = False

    def __init__(self) -> None:
        super().__init__()
        for name in self.learns:
            self.register_buffer(name, None)

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if found is None and name in self.learns:
            raise DataError(f"{self.name} has learned nothing yet: call its fit, or load a state that it saved.")
        return found

    def writes(self, incoming: str) -> str:
        """What goes out, in the words of `reads`, where ``incoming`` comes in."""
        return "numbers"

    def described(self, value: ValueInfo) -> ValueInfo:
        """What is known of what goes out.

        Args:
            value: Its shape and type, to which a step that gives codes adds how many there are.
        """
        return value

    def problem(self, field: FieldInfo, fields: Mapping[str, FieldInfo]) -> str:
        """Why the step cannot be on this field, beyond `reads`; empty where it can.

        Args:
            field: What is known of the field before any row is read.
            fields: All fields of the data set.
        """
        return ""

    def fit(self, train: TrainRows, field: FieldInfo) -> None:
        """Learn from the train rows.

        Args:
            train: What comes in, of the train rows.
            field: What the field is.

        Raises:
            DataError: Nothing can be learned from such rows.
        """

    @abstractmethod
    def forward(self, values: Tensor) -> Tensor:
        """What goes out, ``[batch, ...]``, for what comes in."""

    def serve(self, values: Tensor, train_rows: Tensor | None = None, *, keep: bool = False) -> Tensor:
        """What a loader serves. It is what `forward` gives, but for a step that has a reason.

        Args:
            values: ``[batch, ...]``.
            train_rows: int64 ``[batch]`` where a learner trains on these rows: their positions among the train rows. A
                step that has seen the rows' targets must not give them away.
            keep: Whether the rows will come again, so that a slow step may keep its answer on disk.
        """
        return self(values)

    @property
    def undoable(self) -> bool:
        """Whether `inverse` leads back."""
        return type(self).inverse is not Feature.inverse

    def inverse(self, values: Tensor) -> Tensor:
        """What came in, as far as it can be told.

        Raises:
            DataError: The step cannot be undone.
        """
        raise DataError(f"{self.name} cannot be undone, so that there is no way back to raw units.")

    def learn(self, **buffers: Tensor) -> None:
        """Keep what was learned: each of `learns` by its name."""
        self._buffers.update(buffers)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        for name in self.learns:  # a fresh instance has no buffers, or some of another size
            if prefix + name in state_dict:
                self._buffers[name] = torch.empty_like(state_dict[prefix + name])
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
