"""A model that adapts to the rows that it predicts."""

from __future__ import annotations

import copy
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.core import LearnerError, derive_seed
from jumpml.learn.adapting._label_shift import RowMoments
from jumpml.learn.adapting._normalization import OneRowError
from jumpml.learn.adapting._probe import KnownRows, Probe, worsened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor

    from jumpml.graph import Model
    from jumpml.learn.adapting._method import AdaptationMethod


@final
class Adapted:
    """A model that adapts to the rows that it predicts, batch after batch, without their labels.

    The given model stays as it is, to the bit. What has been adapted is looked at after each batch: where it has become
    worse, as far as that can be told without labels, it is undone, and the unadapted model predicts the batch.

    Attributes:
        model: The adapted copy, in evaluation mode; called directly, it predicts as it is and adapts no more.
        undone: What was undone, and why, a sentence a batch.
        batches: How many batches came.

    Args:
        model: The model.
        method: How it adapts.
        episodic: Whether each batch begins with the unadapted model; else what was adapted stays.
        probe: What it is undone for; nothing is where None.
        known: Batches of rows with targets, such as those of the validation split; without, the probe goes by the rows
            to predict alone, and cannot tell batches of few classes from others.
        seed: Of what modules and objectives draw at random meanwhile.

    Raises:
        LearnerError: The method cannot adapt this model.
        GraphError: A pattern names no node.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from jumpml.core import Task, ValueInfo
        >>> from jumpml.graph import Model, Node
        >>> from jumpml.learn import Adapted, BatchStatistics
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
        >>> model = Model(
        ...     inputs={"x": ValueInfo(shape=(4,))},
        ...     nodes={"net": Node(net, "x")},
        ...     tasks={"kind": Task(kind="multiclass", output="net", target="y")},
        ... )
        >>> adapted = Adapted(model, BatchStatistics())
        >>> adapted({"x": torch.randn(16, 4)})["kind"].shape
        torch.Size([16, 3])
    """

    def __init__(
        self,
        model: Model,
        method: AdaptationMethod,
        *,
        episodic: bool = False,
        probe: Probe | None = Probe(),  # noqa: B008 (frozen)
        known: Iterable[Mapping[str, Tensor]] = (),
        seed: int = 0,
    ) -> None:
        problem = method.problem(model)
        if problem:
            raise LearnerError(f"{method.name}: {problem}")
        self.episodic = episodic or method.always_episodic
        self.method, self.probe, self.seed = copy.deepcopy(method), probe, seed
        self._source = _still(model)
        self.model = _still(model)
        self.method.begin(self.model)
        self._known = KnownRows(self._source, known if probe else (), self.method.outputs)
        self._start = self._snapshot()
        self.batches = 0
        self.undone: list[str] = []

    @property
    def draws(self) -> tuple[str, ...]:
        """The draws of views that batches must hold: ``loaders.test.plain(adapted.draws)`` serves them."""
        return self.method.draws(self._source)

    def __call__(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Adapt to a batch, and predict it.

        Args:
            batch: The fields that the model reads, and the `draws`. Targets may be there; they are not read.

        Returns:
            Raw outputs by task.

        Raises:
            LearnerError: A draw is not there, outputs are no finite numbers, or one row has no statistics; one that is
                left over after other batches is predicted by the unadapted model.
        """
        self._refuse_without_draws(batch)
        with torch.inference_mode(False), torch.enable_grad(), self._drawing():
            batch = {key: value.clone() if value.is_inference() else value for key, value in batch.items()}
            try:
                outputs = self._adapted(batch)
            except OneRowError:
                if not self.batches:  # later it is what was left over of the rows
                    raise
                with torch.no_grad():
                    outputs = self._left(self._source(batch), "one row has no variance to normalize by")
        self.batches += 1
        return {name: output.detach() for name, output in outputs.items()}

    def adapt(self, batches: Iterable[Mapping[str, Tensor]]) -> Adapted:
        """Adapt to batches, and leave their predictions alone.

        Args:
            batches: As `__call__` has them.
        """
        for batch in batches:
            self(batch)
        return self

    def reset(self) -> None:
        """Go back to the unadapted model."""
        self._restore(self._start)

    @property
    def told(self) -> str:
        """What became of it, in words."""
        how = "each batch anew" if self.episodic else "batch after batch"
        number = f"{self.batches} batch{'' if self.batches == 1 else 'es'}"
        begin = f"Adapted at test time by {self.method.name}, {how}: {number}"
        if not self.undone:
            return f"{begin}, none of which was undone."
        reasons = Counter(text.partition(": ")[2] for text in self.undone)
        why = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
        return f"{begin}, of which {len(self.undone)} {'was' if len(self.undone) == 1 else 'were'} undone: {why}."

    def state_dict(self) -> dict[str, Any]:
        """Where it stands: with it, another one of the same model and method goes on to the bit."""
        told = {"batches": self.batches, "undone": [*self.undone]}
        return {**told, **self._snapshot()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            LearnerError: It is of another method, or of another model.
        """
        if state["tensors"].keys() != self._start["tensors"].keys():
            raise LearnerError("this state is of another method, or of another model: other parts of it were moved.")
        self._restore(state)
        self.batches, self.undone = state["batches"], [*state["undone"]]

    # --- a batch ------------------------------------------------------------------------------------------------------

    def _adapted(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if self.episodic:
            self.reset()
        if self.probe is None:
            return _finite(self.method.adapt(batch))
        seen = RowMoments(self._source, batch)
        before = _finite(seen.outputs)
        if self.method.normalizes and self._known.explains(seen):
            return self._left(before, "which classes its rows are of explains their statistics")
        held = self._snapshot()
        after = self.method.adapt(batch)
        moves = any(not name.endswith(("running_mean", "running_var")) for name in self.method.moved)
        now = self._known.measure(self.method.outputs) if moves else {}
        problem = worsened(self.model, self.probe, before=before, after=after, known=self._known.errors, now=now)
        if not problem:
            return after
        self._restore(held)
        return self._left(before, problem)

    def _left(self, outputs: dict[str, Tensor], reason: str) -> dict[str, Tensor]:
        self.undone.append(f"batch {self.batches + 1}: {reason}")
        return outputs

    def _refuse_without_draws(self, batch: Mapping[str, Tensor]) -> None:
        held = {key.rpartition("@")[2] for key in batch if "@" in key}
        missing = [draw for draw in self.draws if draw not in held]
        if missing:
            raise LearnerError(
                f"{self.method.name} needs the draws {', '.join(missing)}, which the batch lacks. "
                "Serve them: loaders.test.plain(adapted.draws)."
            )

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        """Inside, torch's global generator is a function of the seed and the batch; outside it is untouched."""
        devices = {parameter.device for parameter in self.model.parameters() if parameter.device.type == "cuda"}
        with torch.random.fork_rng(devices=[*devices]):
            torch.manual_seed(derive_seed(self.seed, "adapt", self.batches))
            yield

    def _snapshot(self) -> dict[str, Any]:
        state = self.model.state_dict()
        tensors = {name: state[name].detach().clone() for name in self.method.moved}
        return {"tensors": tensors, "method": copy.deepcopy(self.method.state_dict())}

    @torch.no_grad()
    def _restore(self, snapshot: Mapping[str, Any]) -> None:
        state = self.model.state_dict()
        for name, tensor in snapshot["tensors"].items():
            state[name].copy_(tensor)
        self.method.restart()
        self.method.load_state_dict(copy.deepcopy(snapshot["method"]))


def _still(model: Model) -> Model:
    """A copy in evaluation mode, whose parameters have no gradient, whatever trains in the model."""
    made = copy.deepcopy(model)
    made.train_only(made.units)  # nothing of it runs as if nothing in it could learn
    return made.requires_grad_(False).eval()


def _finite(outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for name, output in outputs.items():
        if not torch.isfinite(output).all():
            raise LearnerError(
                f"the outputs of {name!r} are no finite numbers, so that nothing can be adapted to. Look at the batch "
                "for values that are missing or very large, and at the model's weights."
            )
    return dict(outputs)
