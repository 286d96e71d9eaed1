"""What the layers know of each other without importing each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core._values import ValueInfo
    from jumpml.core._weight import WeightSchedule


@runtime_checkable
class Connectable(Protocol):
    """A node's module that wants to know more of what it reads than its shape: how many codes there are to embed.

    An ``nn.Module`` with this method is told when the graph is built, before the pass that makes lazy modules real, and
    again when shapes are checked anew.
    """

    def connect(self, *values: ValueInfo, **named: ValueInfo) -> None:
        """Make what depends on the values, or check that it fits.

        Args:
            values: Of each argument of ``forward``, in order.
            named: Likewise, where the node names its arguments.

        Raises:
            ValueError: They are not such as the module reads.
        """
        ...


@runtime_checkable
class Growable(Protocol):
    """An objective that refers to parameters, or keeps something beside each, and goes along when a model grows.

    Attributes:
        parameters_of: Patterns of the nodes whose parameters these are.
    """

    parameters_of: tuple[str, ...]

    def follow(self, parameters: Mapping[str, nn.Parameter], index_map: Any) -> None:
        """Refer to the parameters as they are now, and take along what is kept beside them.

        Args:
            parameters: As `Objective.connect` was given them, by their names now.
            index_map: Where they come from; a `jumpml.graph.IndexMap`.
        """
        ...


class Loss(NamedTuple):
    """What an objective returns.

    Attributes:
        value: ``[batch]``, one loss a row (anything at absent rows), or a scalar for the whole batch.
        present: bool ``[batch]``, the rows that count; None where all do. Only beside per-row values.
    """

    value: Tensor
    present: Tensor | None = None


class Objective(Protocol):
    """Something to minimise, computed on named values. Implementations are ``nn.Module``s.

    Attributes:
        inputs: The nodes, fields or ``node.part`` that are read, in the order of ``forward``'s arguments.
        views: The views that are drawn: empty, one policy, or two. With views, ``forward`` receives each input once a
            draw: ``(first@view0, first@view1, second@view0, ...)``.
        parameters_of: Patterns of the nodes whose parameters are read instead; empty where none are.
        weight: What the loss is multiplied by in the sum; where there is a schedule, its last weight.
        schedule: What the loss is multiplied by in training instead; None where the weight does not move.
        when: The phases in which it is active, or ``("all",)``.
        draws: How often a policy is drawn, where it is one; of two how often each, once where it is one number.
        per_example: Whether ``forward`` returns one loss a row. One of a whole batch never gets a batch of one row.
        differentiates: The places of the inputs that ``forward`` takes gradients by: these then have one, be they
            fields or frozen. Empty for all but penalties on gradients.
    """

    inputs: tuple[str, ...]
    views: tuple[str, ...]
    parameters_of: tuple[str, ...]
    weight: float
    schedule: WeightSchedule | None
    when: tuple[str, ...]
    draws: int | tuple[int, int]
    per_example: bool
    differentiates: tuple[int, ...]

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check the inputs' shapes and make what depends on them (projectors); called once, when the graph is built.

        Args:
            values: Of each of ``inputs``, in order; None for a field of which nothing is known yet, because the model
                is built without data.
            parameters: The parameters of the nodes that ``parameters_of`` names, by name within the model.

        Raises:
            ObjectiveError: The shapes do not fit; the text says what would.
        """
        ...

    def __call__(self, *inputs: Tensor, present: Tensor | None = None) -> Loss:
        """The loss.

        Args:
            inputs: The values of ``inputs``.
            present: bool ``[batch]``, the rows in which every field among ``inputs`` is there; None where all are.
        """
        ...


@runtime_checkable
class Remembering(Protocol):
    """An objective that compares the model with what it was, and so has to know more of it than values."""

    def reach(self, fields: Sequence[str]) -> None:
        """Be told, before `connect`, the fields that its first input is computed from; they may join its ``inputs``.

        Args:
            fields: In the order of the model's inputs.
        """
        ...

    def remember(self, model: Any) -> None:
        """Copy what it needs of the model, once that is built.

        Args:
            model: A `jumpml.graph.Model`.
        """
        ...

    def outgrow(self, model: Any, index_map: Any) -> None:
        """Take along what it copied, now that the model has grown.

        Args:
            model: A `jumpml.graph.Model`.
            index_map: Where its parameters come from; a `jumpml.graph.IndexMap`.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a `Trainer` is asked to do.

    Attributes:
        epochs: Passes over the train rows.
        lr: Adam's learning rate.
        seed: For order, augmentation and dropout.
        purpose: For progress, such as ``fine-tuning slim``.
        freeze: The nodes that do not train.
    """

    epochs: int
    lr: float
    seed: int
    purpose: str
    freeze: tuple[str, ...] = ()


class Trainer(Protocol):
    """Trains a model in place on every objective of the supervised phase; handed to `deploy` from outside."""

    def __call__(self, model: Any, loaders: Any, training: Training) -> None:
        """Train."""
        ...


class Predictor(Protocol):
    """Something that gives a model's outputs in its place, such as one that adapts to the rows that it predicts.

    Attributes:
        draws: The draws of views that batches must hold.
    """

    @property
    def draws(self) -> tuple[str, ...]: ...

    def __call__(self, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The raw outputs by task.

        Args:
            batch: The fields, and the draws.
        """
        ...


class Recorded(Protocol):
    """Something that the report card can be built from."""

    @property
    def record(self) -> Any:
        """A pydantic record of `jumpml.core`."""
        ...
