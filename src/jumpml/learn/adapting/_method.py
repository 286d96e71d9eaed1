"""What every way of adapting a model to unlabelled rows has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch.optim import SGD

from jumpml.core import LearnerError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.graph import Model

MOMENTUM = 0.9  # of the steps, as in TENT, SAR and TTT


class AdaptationMethod(ABC):
    """A way of adapting a model to rows without labels: a configured instance, of which `Adapted` uses a copy.

    Attributes:
        name: What it is called.
        always_episodic: Whether each batch begins with the unadapted model, whatever is asked for.
        normalizes: Whether batches are normalized by their own statistics, so that they must not be one-sided.
        moved: The names in the model's ``state_dict`` of what it moves, once it has begun.
    """

    name: ClassVar[str]
    always_episodic: ClassVar[bool] = False
    normalizes: bool = False
    moved: Sequence[str] = ()

    @abstractmethod
    def problem(self, model: Model) -> str:
        """Why it cannot adapt this model; empty where it can.

        Args:
            model: The model.
        """

    def draws(self, model: Model) -> tuple[str, ...]:
        """The draws of views that batches must hold, such as ``("strong.0", "strong.1")``."""
        return ()

    def reads(self, model: Model) -> tuple[str, ...]:
        """What batches must hold beside what the model's nodes read, such as ``image.answer`` of a draw."""
        return ()

    @abstractmethod
    def begin(self, model: Model) -> None:
        """Take a model to adapt: its own from now on, in evaluation mode, and nothing of it has a gradient."""

    @abstractmethod
    def adapt(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Adapt to a batch, and give the raw outputs of its rows by task, as they are then.

        Args:
            batch: Its targets are not read.
        """

    @abstractmethod
    def outputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The raw outputs of other rows by task, as the moved weights have them; nothing is adapted."""

    def restart(self) -> None:  # noqa: B027 (many keep nothing)
        """Forget what earlier batches have left beside what is moved."""

    def state_dict(self) -> dict[str, Any]:
        """What it keeps beside what is moved."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027 (likewise)
        """Go on from a state."""


class GradientSteps:
    """Steps down the gradient on some parameters of a model.

    Args:
        model: The model.
        names: The parameters, by name.
        lr: The learning rate, with a momentum of .9.
    """

    def __init__(self, model: Model, names: Collection[str], lr: float) -> None:
        own = dict(model.named_parameters())
        self.parameters: list[nn.Parameter] = [own[name] for name in names]
        for parameter in self.parameters:
            parameter.requires_grad_(True)
        self._lr = lr
        self.restart()

    def restart(self) -> None:
        """Begin afresh, without momentum."""
        self._optimizer = SGD(self.parameters, lr=self._lr, momentum=MOMENTUM)

    def differentiate(self, loss: Tensor) -> None:
        """Let the parameters' gradients be the loss's; zero where it does not depend on one."""
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
        for parameter, gradient in zip(self.parameters, found, strict=True):
            parameter.grad = gradient

    def step(self) -> None:
        """Move, and drop the gradients."""
        self._optimizer.step()
        self._optimizer.zero_grad()

    @torch.no_grad()
    def climb(self, distance: float) -> list[Tensor]:
        """Go up the gradient by a distance.

        Returns:
            The parameters as they were.
        """
        before = [parameter.detach().clone() for parameter in self.parameters]
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.stack(torch._foreach_norm(gradients)).norm()
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.add_(parameter.grad * (distance / norm.clamp(min=1e-12)))
        return before

    @torch.no_grad()
    def put_back(self, before: Sequence[Tensor]) -> None:
        """Give the parameters the values of before."""
        for parameter, value in zip(self.parameters, before, strict=True):
            parameter.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """The momentum."""
        return self._optimizer.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._optimizer.load_state_dict(dict(state))


class Descending(AdaptationMethod):
    """A method that moves parameters down the gradient of a loss on the batch.

    Args:
        nodes: Patterns of the nodes whose parameters it may move.
        lr: The learning rate.
        steps: Steps a batch.

    Raises:
        LearnerError: A number makes no sense.
    """

    def __init__(self, *, nodes: str | Sequence[str], lr: float, steps: int) -> None:
        self.nodes = (nodes,) if isinstance(nodes, str) else tuple(nodes)
        if not lr > 0:
            raise LearnerError(f"{self.name}: expected lr above 0, got {lr:g}.")
        if steps < 1:
            raise LearnerError(f"{self.name}: expected steps of 1 or more, got {steps}.")
        self.lr, self.steps = lr, steps

    @abstractmethod
    def movable(self, model: Model) -> list[str]:
        """The parameters that it moves, by name."""

    def leading_to(self, model: Model, values: Iterable[str]) -> list[str]:
        """The parameters, by name, of those of its nodes that some values are computed from."""
        behind = model.behind(values)
        own = {id(parameter): name for name, parameter in model.named_parameters()}
        nodes = [name for name in model.node_names if name in behind]
        within = {id(p) for unit in model.select(self.nodes) for p in model.node(unit).parameters()}
        found = [own[id(p)] for node in nodes for p in model.node(node).parameters() if id(p) in within]
        return list(dict.fromkeys(found))

    def begin(self, model: Model) -> None:
        """Take a model."""
        self._model = model
        self.moved = self.movable(model)
        self._descent = GradientSteps(model, self.moved, self.lr)

    @torch.no_grad()
    def outputs(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The raw outputs of other rows."""
        return self._model(batch)

    def restart(self) -> None:
        """Forget the momentum."""
        self._descent.restart()

    def state_dict(self) -> dict[str, Any]:
        """The momentum."""
        return {"descent": self._descent.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._descent.load_state_dict(state["descent"])
