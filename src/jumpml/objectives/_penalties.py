"""Penalties on what a node gives, one loss a row, or on its parameters, one of the whole."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, final

import torch

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import filled, mean_of_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight
    from jumpml.graph import IndexMap


class _Penalty(ObjectiveModule):
    roles = ("activation",)

    def __init__(
        self,
        inputs: str | Sequence[str] = (),
        *,
        parameters_of: str | Sequence[str] = (),
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, parameters_of=parameters_of, weight=weight, when=when)
        self.per_example = not self.parameters_of
        # a plain dict, which torch does not register: the parameters stay the nodes' own
        self._held: dict[str, nn.Parameter] = {}

    def _validate_inputs(self) -> None:
        if bool(self.inputs) == bool(self.parameters_of):
            got = "both" if self.inputs else "neither"
            raise self.error(f"expected a node whose output, or whose parameters, it is a penalty on; got {got}.")
        if self.inputs:
            super()._validate_inputs()

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for real numbers, or take hold of the parameters."""
        super().connect(values, parameters)
        if self.inputs:
            self._check_activation(values[0])
            return
        self._held = {name: parameter for name, parameter in parameters.items() if self._holds(parameter)}
        if not self._held:
            known = ", ".join(f"{name} {list(p.shape)}" for name, p in parameters.items()) or "none"
            raise self.error(f"the nodes that it names have no parameters that it is made for; there are: {known}.")

    def follow(self, parameters: Mapping[str, nn.Parameter], index_map: IndexMap) -> None:
        """Hold the parameters of a model that has grown."""
        if self.parameters_of:
            self._held = {name: parameter for name, parameter in parameters.items() if self._holds(parameter)}

    def forward(self, activation: Tensor | None = None, present: Tensor | None = None) -> Loss:
        """The penalty.

        Args:
            activation: The node's output, ``[batch, *]``; None where it is on parameters.
            present: bool ``[batch]``, the rows that count; None where all do. A table's rows of which single numbers
                are missing do not count.

        Returns:
            One loss a row, or of parameters a scalar: the mean over all their elements, whichever tensor they are in.
        """
        if activation is not None:
            present = self.whole_rows(present, activation)
            return Loss(self._of_rows(filled(activation, present)), present)
        parts = [self._of_parameter(parameter) for parameter in self._held.values()]
        count = sum(part.numel() for part in parts)
        return Loss(torch.stack([part.sum() for part in parts]).sum() / count)

    def _check_activation(self, activation: ValueInfo | None) -> None:
        if activation and activation.dtype != "float32":
            raise self.wrong_shape(0, "float32", activation, "A penalty needs numbers that a gradient can change.")

    def _holds(self, parameter: nn.Parameter) -> bool:
        """Whether it is a penalty on such a parameter."""
        return parameter.numel() > 0

    @abstractmethod
    def _of_rows(self, activation: Tensor) -> Tensor:
        """``[batch, *]`` to ``[batch]``."""

    @abstractmethod
    def _of_parameter(self, parameter: Tensor) -> Tensor:
        """The terms whose mean is the penalty, in any shape."""


@final
class L1(_Penalty):
    """Mean absolute value of a node's output, or of its parameters.

    Args:
        inputs: The node.
        parameters_of: Or patterns of the nodes whose parameters it is a penalty on.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: Both a node and patterns are given, or neither.

    Example:
        >>> import torch
        >>> L1("encoder")(torch.tensor([[1.0, -3.0]])).value
        tensor([2.])
    """

    def _of_rows(self, activation: Tensor) -> Tensor:
        return mean_of_rows(activation.abs())

    def _of_parameter(self, parameter: Tensor) -> Tensor:
        return parameter.abs()


@final
class L2(_Penalty):
    """Mean square of a node's output, or of its parameters.

    Args:
        inputs: The node.
        parameters_of: Or patterns of the nodes whose parameters it is a penalty on.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: Both a node and patterns are given, or neither.

    Example:
        >>> import torch
        >>> L2("encoder")(torch.tensor([[1.0, -3.0]])).value
        tensor([5.])
    """

    def _of_rows(self, activation: Tensor) -> Tensor:
        return mean_of_rows(activation.square())

    def _of_parameter(self, parameter: Tensor) -> Tensor:
        return parameter.square()


@final
class Orthogonality(_Penalty):
    """How far vectors are from being of length 1 and orthogonal to each other.

    The mean square of ``V V^T - I`` (Brock et al. 2017, https://arxiv.org/abs/1609.07093): of a node's output the
    vectors are each row's ``[vectors, width]`` (heads, slots, prototypes), of parameters the rows of each weight of two
    axes or more. Where there are more vectors than a space has room for, it is the columns that are to be orthogonal.

    Args:
        inputs: The node.
        parameters_of: Or patterns of the nodes whose weights it is a penalty on.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: Both a node and patterns are given, or neither.

    Example:
        >>> import torch
        >>> Orthogonality("heads")(torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])).value
        tensor([0.5000])
    """

    def _check_activation(self, activation: ValueInfo | None) -> None:
        if activation and (len(activation.shape) != 2 or activation.dtype != "float32"):
            fix = "For the features of a vector take kind: decorrelation."
            raise self.wrong_shape(0, "[batch, vectors, width] float32", activation, fix)

    def _holds(self, parameter: nn.Parameter) -> bool:
        return parameter.ndim >= 2 and parameter.numel() > 0

    def _of_rows(self, activation: Tensor) -> Tensor:
        return _misfit(activation).mean((1, 2))

    def _of_parameter(self, parameter: Tensor) -> Tensor:
        return _misfit(parameter.flatten(1))


@final
class TotalVariation(_Penalty):
    """How much neighbours differ: the mean absolute difference along each axis of space, summed over these axes.

    The anisotropic form of Rudin et al. 1992, https://doi.org/10.1016/0167-2789(92)90242-F. Of parameters it is the
    mean over all axes together.

    Args:
        inputs: The node.
        parameters_of: Or patterns of the nodes whose weights it is a penalty on: kernels of three axes or more, along
            all but the first two.
        axes: The axes of a row of the node's output along which neighbours lie, 0 for its first; all but the first
            where None, so that channels of a picture are not compared. Of ``[batch, steps, channels]`` it is ``(0,)``.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: Both a node and patterns are given, or neither; or axes are below 0 or of parameters.

    Example:
        >>> import torch
        >>> picture = torch.tensor([[[[1.0, 2.0], [1.0, 5.0]]]])
        >>> TotalVariation("picture")(picture).value  # down (0 + 3) / 2, and right (1 + 4) / 2
        tensor([4.])
    """

    def __init__(
        self,
        inputs: str | Sequence[str] = (),
        *,
        parameters_of: str | Sequence[str] = (),
        axes: Sequence[int] | None = None,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, parameters_of=parameters_of, weight=weight, when=when)
        self.axes = None if axes is None else tuple(axes)
        if self.axes is not None and (not self.axes or min(self.axes) < 0):
            raise self.error(f"expected axes of 0 or more, such as [0] for steps before channels; got {[*self.axes]}.")
        if self.axes is not None and self.parameters_of:
            raise self.error("axes are those of a node's output; of parameters it is all but the first two.")

    def _check_activation(self, activation: ValueInfo | None) -> None:
        super()._check_activation(activation)
        if activation:
            axes = self._axes(len(activation.shape))
            if not axes or max(axes) >= len(activation.shape) or min(activation.shape[axis] for axis in axes) < 2:
                told = f"two places or more along axes {[*axes]}" if axes else "[batch, channels, *space]"
                raise self.wrong_shape(0, told, activation, "Say with axes where neighbours lie.")

    def _axes(self, count: int) -> tuple[int, ...]:
        return tuple(range(1, count)) if self.axes is None else self.axes

    def _holds(self, parameter: nn.Parameter) -> bool:
        return parameter.ndim >= 3 and max(parameter.shape[2:]) > 1

    def _of_rows(self, activation: Tensor) -> Tensor:
        terms = [mean_of_rows(activation.diff(dim=axis + 1).abs()) for axis in self._axes(activation.ndim - 1)]
        return torch.stack(terms).sum(0)

    def _of_parameter(self, parameter: Tensor) -> Tensor:
        differences = [parameter.diff(dim=axis).abs().flatten() for axis in range(2, parameter.ndim)]
        return torch.cat(differences)


def _misfit(vectors: Tensor) -> Tensor:
    """``(V V^T - I)^2``, ``[*, vectors, vectors]``."""
    if vectors.shape[-2] > vectors.shape[-1]:
        vectors = vectors.mT
    products = vectors @ vectors.mT
    return (products - torch.eye(products.shape[-1], dtype=products.dtype, device=products.device)).square()
