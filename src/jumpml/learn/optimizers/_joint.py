"""Several optimizers as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
from itertools import chain, combinations
from typing import TYPE_CHECKING, Any

from torch.optim import Optimizer

from jumpml.core import LearnerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor


class JointOptimizer(Optimizer):
    """Several optimizers, each of its own parameters, as one: one step moves all, so that steps are counted once.

    Args:
        members: The optimizers, by name or in a list.

    Attributes:
        members: By name; those of a list are called by their places.

    Raises:
        LearnerError: There is none, or two hold the same parameter.

    Example:
        >>> import torch
        >>> body, head = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
        >>> joint = JointOptimizer([torch.optim.AdamW(body.parameters()), torch.optim.SGD(head.parameters(), lr=0.1)])
        >>> [group["lr"] for group in joint.param_groups]
        [0.001, 0.1]
    """

    def __init__(self, members: Sequence[Optimizer] | Mapping[str, Optimizer]) -> None:
        named = members if isinstance(members, Mapping) else {str(place): one for place, one in enumerate(members)}
        self.members: dict[str, Optimizer] = dict(named)
        if not self.members:
            raise LearnerError("expected one or more optimizers, got none.")
        self._refuse_shared()
        self._made = False
        super().__init__([{"params": group["params"]} for group in self._groups()], {})
        self._made = True
        self.param_groups = self._groups()
        self.state = _States(self.members)  # type: ignore[assignment]

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step of each."""
        for member in self.members.values():
            member.step()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Give new parameters to the first optimizer."""
        if not self._made:
            super().add_param_group(param_group)
            return
        next(iter(self.members.values())).add_param_group(param_group)
        self.param_groups = self._groups()

    def state_dict(self) -> dict[str, Any]:
        """Each one's own."""
        return {name: member.state_dict() for name, member in self.members.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state."""
        for name, member in self.members.items():
            member.load_state_dict(state_dict[name])
        self.param_groups = self._groups()

    def __reduce__(self) -> tuple[type[JointOptimizer], tuple[dict[str, Optimizer]]]:
        return JointOptimizer, (self.members,)

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {member}" for name, member in self.members.items())

    def _groups(self) -> list[dict[str, Any]]:
        """The members' own, so that a learning rate that is set here is set there."""
        return [group for member in self.members.values() for group in member.param_groups]

    def _refuse_shared(self) -> None:
        held = {name: {id(p) for p in _parameters(member)} for name, member in self.members.items()}
        for first, second in combinations(held, 2):
            if both := held[first] & held[second]:
                kinds = [f"{name!r} ({type(self.members[name]).__name__})" for name in (first, second)]
                text = f"the optimizers {' and '.join(kinds)} hold the same parameters, {len(both)} of them"
                raise LearnerError(f"{text}: each would move them. Give every parameter to one.")


class _States(MutableMapping["Tensor", dict[str, Any]]):
    """What the members know of each parameter."""

    def __init__(self, members: Mapping[str, Optimizer]) -> None:
        self._members = members

    def _of(self, parameter: Tensor) -> MutableMapping[Tensor, dict[str, Any]]:
        for member in self._members.values():
            if any(parameter is other for other in _parameters(member)):
                return member.state
        raise KeyError(parameter)

    def __getitem__(self, parameter: Tensor) -> dict[str, Any]:
        return self._of(parameter)[parameter]

    def __setitem__(self, parameter: Tensor, state: dict[str, Any]) -> None:
        self._of(parameter)[parameter] = state

    def __delitem__(self, parameter: Tensor) -> None:
        del self._of(parameter)[parameter]

    def __contains__(self, parameter: object) -> bool:
        return any(parameter in member.state for member in self._members.values())

    def __iter__(self) -> Iterator[Tensor]:
        return chain.from_iterable(member.state for member in self._members.values())

    def __len__(self) -> int:
        return sum(len(member.state) for member in self._members.values())


def joined(optimizer: Optimizer | Sequence[Optimizer] | Mapping[str, Optimizer]) -> Optimizer:
    """One optimizer, of one or of several."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    return JointOptimizer(optimizer)


def members_of(optimizer: Optimizer) -> list[Optimizer]:
    """The optimizers behind one; itself where it stands alone."""
    return [*optimizer.members.values()] if isinstance(optimizer, JointOptimizer) else [optimizer]


def names_of(optimizer: Optimizer) -> str:
    """What kind it is, for people."""
    kinds = Counter(type(member).__name__ for member in members_of(optimizer))
    return ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in kinds.items())


def _parameters(optimizer: Optimizer) -> Iterator[Tensor]:
    return (parameter for group in optimizer.param_groups for parameter in group["params"])
