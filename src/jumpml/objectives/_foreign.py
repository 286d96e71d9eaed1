"""Losses that others wrote: a module of torch's or of a trusted package, or any function of tensors."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, final

import torch
from torch import nn

from jumpml.core import Loss, ValueInfo
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import filled, mean_of_rows, same_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import Weight

TRIAL_ROWS = 2


class _Foreign(ObjectiveModule):
    def _validate_inputs(self) -> None:
        if not self.inputs:
            raise self.error("expected the names of what it reads, got none.")

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Try it on two rows of zeros, where all shapes are known."""
        super().connect(values, parameters)
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return
        zeros = [torch.zeros(TRIAL_ROWS, *value.shape, dtype=getattr(torch, value.dtype)) for value in known]
        try:
            with torch.no_grad():
                self(*zeros)
        except Exception as error:  # another's code may raise anything when it dislikes what it reads
            reads = ", ".join(f"{name!r} {value}" for name, value in zip(self.inputs, known, strict=True))
            said = f"{type(error).__name__}: {str(error).strip().rstrip('.')}"
            raise self.error(f"{self._name} cannot be computed on {reads}. {said}.") from error

    def forward(self, *values: Tensor, present: Tensor | None = None) -> Loss:
        """The loss.

        Args:
            values: What is read, ``[batch, *]`` each. Where two numbers a row are compared of which one is ``[batch]``
                and the other ``[batch, 1]``, the second is brought into the first's shape.
            present: bool ``[batch]``, the rows that count; None where all do. A loss a row sees zeros in the others, a
                loss of the batch does not see them. A table's rows of which single numbers are missing do not count.

        Raises:
            ObjectiveError: What comes back is not one loss a row, or not one of the batch.
        """
        present = self.whole_rows(present, *values)
        values = _aligned(values)
        if not self.per_example:
            return self._of_batch(values if present is None else tuple(value[present] for value in values))
        rows = len(values[0])
        loss = self._call(*(_harmless(value, present) for value in values))
        if loss.ndim == 0 or len(loss) != rows:
            raise self.error(
                f"expected one loss a row, [{rows}] or [{rows}, *], from {self._name}; got {list(loss.shape)}. "
                "For one of the whole batch say per_example=False."
            )
        return Loss(mean_of_rows(loss), present)

    def _of_batch(self, values: Sequence[Tensor]) -> Loss:
        if not len(values[0]):  # of no row there is no loss; a zero that gradients flow through
            return Loss(torch.stack([value.float().sum() for value in values]).sum() * 0)
        loss = self._call(*values)
        if loss.ndim:
            raise self.error(
                f"expected one loss of the whole batch from {self._name}, a scalar; got {list(loss.shape)}."
            )
        return Loss(loss)

    @property
    @abstractmethod
    def _name(self) -> str:
        """What it is called, for errors."""

    @abstractmethod
    def _call(self, *values: Tensor) -> Tensor:
        """The loss as its author computes it."""


@final
class LossModule(_Foreign):
    """Any loss that is an ``nn.Module``: ``torch.nn``'s own, or another's.

    One with an attribute ``reduction`` gives one loss a row: a copy of it with ``reduction="none"`` is used, and what
    it gives for each element is averaged over the row. One without is taken as a loss of the whole batch. Parameters
    that it has are learned.

    Args:
        module: The loss, called with the values of the inputs.
        inputs: What it reads, in the order of its arguments.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: It is no module, adds rows up (``reduction="sum"``) or a row's elements (``"batchmean"``), or
            nothing is read.

    Example:
        >>> objective = LossModule(nn.SmoothL1Loss(beta=0.5), ("age", "years"))
        >>> objective(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0])).value
        tensor([0.0000, 1.7500])
    """

    def __init__(
        self,
        module: nn.Module,
        inputs: str | Sequence[str],
        *,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        if not isinstance(module, nn.Module):
            raise self.error(f"expected an nn.Module, got a {type(module).__name__}. For a function take Function.")
        if getattr(module, "reduction", None) == "sum":
            raise self.error("rows are averaged, so that no loss grows with the batch; leave reduction='sum' out.")
        if getattr(module, "reduction", None) == "batchmean":
            raise self.error("a row's elements are averaged too; leave reduction='batchmean' out, or take kind: kl.")
        self.per_example = hasattr(module, "reduction")
        if self.per_example:
            module = copy.deepcopy(module)
            module.reduction = "none"  # type: ignore[assignment]  # a plain attribute in all of torch's losses
        self.module = module

    @property
    def _name(self) -> str:
        return f"{type(self.module).__module__}.{type(self.module).__qualname__}"

    def _call(self, *values: Tensor) -> Tensor:
        return self.module(*values)


@final
class Function(_Foreign):
    """Any function of tensors as a loss.

    Args:
        function: Called with the values of the inputs and with `args`; differentiable. It returns ``[batch]`` or
            ``[batch, *]``, or a scalar where it is no loss of single rows.
        inputs: What it reads, in the order of its arguments.
        args: Further arguments by name.
        per_example: Whether it returns one loss a row.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: It cannot be called, or nothing is read.

    Example:
        >>> def log_cosh(prediction, target):
        ...     return (prediction - target).cosh().log()
        >>> Function(log_cosh, ("age", "years"))(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0])).value
        tensor([0.0000, 1.3250])
    """

    def __init__(
        self,
        function: Callable[..., object],
        inputs: str | Sequence[str],
        *,
        args: Mapping[str, Any] | None = None,
        per_example: bool = True,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        if not callable(function):
            raise self.error(f"expected a function of tensors, got a {type(function).__name__}.")
        self._function, self._args = function, dict(args or {})
        self.per_example = per_example

    @property
    def _name(self) -> str:
        return getattr(self._function, "__name__", type(self._function).__name__)

    def _call(self, *values: Tensor) -> Tensor:
        loss = self._function(*values, **self._args)
        if not isinstance(loss, torch.Tensor):
            raise self.error(f"expected a tensor from {self._name}, got a {type(loss).__name__}.")
        return loss


def _harmless(value: Tensor, present: Tensor | None) -> Tensor:
    """Zeros at absent rows, in codes too: class -1 is no place in any table."""
    if present is None or value.is_floating_point():
        return filled(value, present)
    return torch.where(present.view(-1, *[1] * (value.ndim - 1)), value, 0)


def _aligned(values: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Two values of as many numbers a row in one shape: ``[batch]`` against ``[batch, 1]`` would broadcast."""
    if len(values) != 2 or not all(value.is_floating_point() for value in values):
        return values
    first, second = values
    if first.shape == second.shape or not same_rows(first.shape[1:], second.shape[1:]):
        return values
    return first, second.reshape(first.shape)
