"""What joins the loop: told of its moments, with its state in every checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from jumpml.core import LearnerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import EpochRecord, Loss
    from jumpml.graph import Growth, Model
    from jumpml.learn._learner import Learner
    from jumpml.learn._stage import Stage


class Step(NamedTuple):
    """A batch that was learned from, as it is told to hooks; every tensor is on the device.

    Attributes:
        number: Updates since the start of the run, the one that it belongs to included.
        lr: The first group's learning rate.
        losses: By objective, without a graph.
        values: By node, what it gave, with the graph, which has been gone through by the time that hooks see it.
        batch: By field, what was learned from.
        rows: How many rows it has.
    """

    number: int
    lr: float
    losses: Mapping[str, Loss]
    values: Mapping[str, Tensor]
    batch: Mapping[str, Tensor]
    rows: int


class Hook:
    """Something that joins the loop.

    Everything here does nothing until it is overridden, and the loop calls only what is. A hook never reads the device
    in a step: that would make the host wait for it. What it must remember stands in its ``state_dict``, or a resumed
    run is another run.

    Where several processes learn, each has the hook, and every moment comes in all of them: weights, gradients in
    ``differentiated`` and the records of epochs are the same in all, batches and steps have this process's rows alone.
    What all decide by must be the same in all, so sum it up by ``learner.processes.sum``; what is kept of rows and goes
    into the checkpoint must be of all rows (``gather``), since only the first one's is written.

    Attributes:
        name: Its key in the checkpoint.
        figures: Validation figures that it reads in ``closed``: `val/<task>/<metric>` or `val/loss`.
        positions: Whether batches hold ``@position`` for it, int64 ``[batch]``: each row's place among the train rows.

    Example:
        >>> class Rows(Hook):
        ...     name = "rows"
        ...     seen = 0
        ...     def updated(self, step):
        ...         self.seen += step.rows
        ...     def state_dict(self):
        ...         return {"seen": self.seen}
        ...     def load_state_dict(self, state):
        ...         self.seen = state["seen"]
    """

    name: ClassVar[str]
    figures: tuple[str, ...] = ()
    positions: bool = False

    def attach(self, learner: Learner) -> None:
        """The learner is made: keep what you need of it, or refuse it."""

    def measures(self, model: Model) -> Sequence[str]:
        """The names of all figures that `validated` may give; the learner asks before it attaches anything."""
        return ()

    def enter(self, stage: Stage) -> None:
        """A phase is set up, anew or on resume."""

    def arrived(self, batch: Mapping[str, Tensor]) -> None:
        """A batch is about to be learned from.

        Args:
            batch: By field.
        """

    def weigh(self, losses: Mapping[str, Loss], batch: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """A batch's losses are there, and no gradient yet: say what each row counts.

        It multiplies the row's gradient within the objective's mean; what is logged and recorded stays plain. Where
        several hooks say something of a row, their weights are multiplied.

        Args:
            losses: By objective, without a graph.
            batch: By field, what is learned from.

        Returns:
            By objective that has a loss a row, float ``[batch]``; those that are not named stay as they are.
        """

    def join(self, stage: Stage) -> Tensor | None:
        """The batch's gradients are on their way: a scalar here is added to its loss, once an update.

        Of several processes' scalars the mean is.
        """

    def differentiated(self, stage: Stage) -> None:
        """The gradients of ``stage.trained`` are there; they are not clipped yet, and no weight has moved."""

    def learned(self, step: Step) -> None:
        """The weights moved by a batch: once a batch, and so several times an update where batches accumulate."""

    def updated(self, step: Step) -> None:
        """The weights moved: once an update, told of the last batch that it was made of."""

    def read(self) -> Mapping[str, float]:
        """The log is written: figures of your own for it. Here the device may be read."""
        return {}

    def validated(self, phase: str, epoch: int) -> Mapping[str, float]:
        """An epoch is over: figures of your own beside those of its validation, which may choose the best checkpoint.

        Args:
            phase: Whose epoch.
            epoch: Its number within the phase, from 1.

        Returns:
            Those of `measures` that were measured; the device may be read for them.
        """
        return {}

    def closed(self, record: EpochRecord) -> None:
        """An epoch is over and validated. Here a hook may end the phase, or tell what it did by ``learner.note``."""

    def grew(self, growth: Growth) -> None:
        """The model has grown, or a growth was taken back: take along what you keep beside parameters.

        Args:
            growth: What became of them; its ``index_map.carry`` takes a tensor along.
        """

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values, in nested dicts and lists."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""

    def identity(self) -> str:
        """In words, what must be the same for a resumed run to be the same run."""
        return "on"


class Hooks:
    """A learner's hooks in their order, and for each moment those that care.

    Args:
        hooks: Each with a name of its own.

    Raises:
        LearnerError: Two have the same name.
    """

    def __init__(self, hooks: Iterable[Hook]) -> None:
        self._by_name: dict[str, Hook] = {}
        self.heard: list[Hook] = []  # those that have followed the last growth
        for hook in hooks:
            if hook.name in self._by_name:
                raise LearnerError(f"two hooks have the name {hook.name!r}: give one of them another.")
            self._by_name[hook.name] = hook
        self.enter: list[Callable[[Stage], None]] = self._that_care("enter")
        self.learned: list[Callable[[Step], None]] = self._that_care("learned")
        self.arrived: list[Callable[[Mapping[str, Tensor]], None]] = self._that_care("arrived")
        self.weigh: list[Callable[[Mapping[str, Loss], Mapping[str, Tensor]], Mapping[str, Tensor] | None]] = (
            self._that_care("weigh")
        )
        self.join: list[Callable[[Stage], Tensor | None]] = self._that_care("join")
        self.differentiated: list[Callable[[Stage], None]] = self._that_care("differentiated")
        self.updated: list[Callable[[Step], None]] = self._that_care("updated")
        self.read: list[Callable[[], Mapping[str, float]]] = self._that_care("read")
        self.validated: list[Callable[[str, int], Mapping[str, float]]] = self._that_care("validated")
        self.closed: list[Callable[[EpochRecord], None]] = self._that_care("closed")

    def __iter__(self) -> Iterator[Hook]:
        return iter(self._by_name.values())

    @property
    def positions(self) -> bool:
        """Whether one of them reads each row's place."""
        return any(hook.positions for hook in self)

    def grew(self, growth: Growth) -> None:
        """Tell all of a growth."""
        self.heard = []
        for hook in self:
            hook.grew(growth)
            self.heard.append(hook)

    def state_dict(self) -> dict[str, Any]:
        """By name."""
        return {name: hook.state_dict() for name, hook in self._by_name.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; a hook that has none in it begins afresh."""
        for name, hook in self._by_name.items():
            if name in state:
                hook.load_state_dict(state[name])

    def identity(self) -> dict[str, str]:
        """By name, what must be the same for a resumed run to be the same run."""
        return {name: hook.identity() for name, hook in self._by_name.items()}

    def _that_care(self, moment: str) -> list[Any]:
        bare = getattr(Hook, moment)
        return [getattr(hook, moment) for hook in self if getattr(type(hook), moment) is not bare]
