"""What arms differ in: data sets, tasks, objectives, classes, views."""

from __future__ import annotations

from abc import ABC, abstractmethod
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, final

from jumpml.core import LearnerError, Problem, did_you_mean
from jumpml.curriculum import difficulty_bins, difficulty_problem
from jumpml.graph import BroughtLoss

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from jumpml.data import DataLoaders
    from jumpml.graph import Model

    Path = tuple[str | int, ...]

ARMS = ("curriculum", "arms")


class Part(NamedTuple):
    """What one arm of an axis is.

    Attributes:
        mask: bool ``[rows]`` on the CPU, the train rows that it has; all where None.
        dataset: The data set that they are of; any where None.
        share: The share of a batch that is of the mask's rows; the others are of any.
        objectives: Those of the axis that run; all where None.
        view: What augments the plain fields; see `jumpml.data.Round`.
    """

    mask: Tensor | None = None
    dataset: str | None = None
    share: float = 1.0
    objectives: frozenset[str] | None = None
    view: str | None = None


class Axis(ABC):
    """A way to tell arms apart. Several together make an arm of each combination.

    Attributes:
        kind: Its name in a learner file.
    """

    kind: ClassVar[str]

    @abstractmethod
    def parts(self, model: Model, loaders: DataLoaders, phase: str, datasets: Sequence[str]) -> Mapping[str, Part]:
        """The arms by name, in their order.

        Args:
            model: The model.
            loaders: The data.
            phase: The phase.
            datasets: Those that the phase draws from.
        """

    def problems(self, path: Path, model: Model, loaders: DataLoaders) -> Iterator[Problem]:
        """What it asks for and there is not.

        Args:
            path: Where it is asked for.
            model: The model.
            loaders: The data.
        """
        yield from ()

    def of(self, model: Model, phase: str) -> frozenset[str]:
        """The objectives that it tells apart, of which only an arm's own run in an update."""
        return frozenset()

    def identity(self) -> str:
        """In words."""
        return self.kind


@final
class DataSets(Axis):
    """The data sets of the data file that the phase learns from."""

    kind = "datasets"

    def parts(self, model: Model, loaders: DataLoaders, phase: str, datasets: Sequence[str]) -> Mapping[str, Part]:
        """A data set each."""
        return {name: Part(dataset=name) for name in datasets}


class _ByObjective(Axis):
    def parts(self, model: Model, loaders: DataLoaders, phase: str, datasets: Sequence[str]) -> Mapping[str, Part]:
        """An objective each, with the rows that count for it."""
        there, told = loaders.train.there(), self.of(model, phase)
        names = [name for name in model.active(phase) if name in told]
        rows = {name: model.rows(model.objectives[name].inputs, there) for name in names}
        return {
            name: Part(mask=None if mask is None else mask.cpu(), objectives=frozenset([name]))
            for name, mask in rows.items()
        }


@final
class Tasks(_ByObjective):
    """The tasks that are learned in the phase: in each update one of them, on rows that have its target.

    What is no task's objective runs in every update.
    """

    kind = "tasks"

    def of(self, model: Model, phase: str) -> frozenset[str]:
        """The tasks' own."""
        return frozenset(model.active(phase)) & {*model.tasks}


@final
class Objectives(_ByObjective):
    """The objectives that are active in the phase: in each update one of them, on rows that count for it.

    Penalties on parameters, and losses that nodes bring, run in every update in which their nodes do.
    """

    kind = "objectives"

    def of(self, model: Model, phase: str) -> frozenset[str]:
        """All that read something."""
        named = {name: model.objectives[name] for name in model.active(phase)}
        return frozenset(name for name, one in named.items() if one.inputs and not isinstance(one, BroughtLoss))


@final
class Classes(Axis):
    """The classes of a category.

    A net that tells classes apart unlearns the others by batches of one class alone: only a part of a batch is of the
    arm's, and the other rows come from all classes.

    Args:
        field: Its name.
        share: That part, above 0 and at most 1.

    Raises:
        LearnerError: It is not.
    """

    kind = "classes"

    def __init__(self, field: str, share: float = 0.5) -> None:
        if not 0 < share <= 1:
            raise LearnerError(f"arms by classes: expected a share above 0 and at most 1, got {share!r}.")
        self.field, self.share = field, share

    def parts(self, model: Model, loaders: DataLoaders, phase: str, datasets: Sequence[str]) -> Mapping[str, Part]:
        """A class each; rows whose class is missing are in no arm."""
        codes = loaders.train.decoded(self.field).cpu()
        names = loaders.fields[self.field].classes
        return {name: Part(mask=codes == code, share=self.share) for code, name in enumerate(names)}

    def problems(self, path: Path, model: Model, loaders: DataLoaders) -> Iterator[Problem]:
        """There is no such field, or it has no classes."""
        field, at = loaders.fields.get(self.field), (*path, "classes")
        if field is None:
            near = did_you_mean(self.field, [name for name, i in loaders.fields.items() if i.kind == "category"])
            yield Problem(at, f"the data has no field {self.field!r}.", near)
        elif field.kind != "category":
            text = f"expected a category, whose classes are arms; {self.field!r} is a {field.kind}."
            yield Problem(at, text, "Name another field.")

    def identity(self) -> str:
        """The field, and the share."""
        return f"classes of {self.field}, share {self.share:g}"


@final
class Difficulty(Axis):
    """Rows from easy to hard, in bins of as many rows each: ``1`` is the easiest.

    Args:
        bins: How many.
        difficulty: How hard each train row is, float ``[train rows]`` in plain order, as `difficulty_by` tells it of a
            reference model; or ``data``, what the loaders say.

    Raises:
        LearnerError: There are fewer than two.
    """

    kind = "difficulty"

    def __init__(self, bins: int, difficulty: Tensor | Literal["data"] = "data") -> None:
        if bins < 2:
            raise LearnerError(f"arms by difficulty: expected two bins or more, got {bins!r}.")
        self.bins, self.difficulty = bins, difficulty
        self._checksum = ""

    def parts(self, model: Model, loaders: DataLoaders, phase: str, datasets: Sequence[str]) -> Mapping[str, Part]:
        """A bin each, of all train rows."""
        known = self._known(loaders)
        if known is None:
            return {}
        found = difficulty_bins(known, self.bins)
        self._checksum = sha256(found.numpy().tobytes()).hexdigest()[:12]
        return {str(place + 1): Part(mask=found == place) for place in range(self.bins)}

    def problems(self, path: Path, model: Model, loaders: DataLoaders) -> Iterator[Problem]:
        """Nothing says how hard rows are, or not of each."""
        at, known = (*path, "difficulty"), self._known(loaders)
        if known is None:
            fix = "Give it `difficulty: {column: ...}`, or say `difficulty: {run: FOLDER}` beside the arms."
            yield Problem(at, "the data does not say how hard its rows are.", fix)
        elif problem := difficulty_problem(known, len(loaders.train.rows)):
            yield Problem(at, problem)

    def _known(self, loaders: DataLoaders) -> Tensor | None:
        return loaders.difficulty if isinstance(self.difficulty, str) else self.difficulty

    def identity(self) -> str:
        """How many, and which rows are in which."""
        return f"{self.bins} bins of difficulty {self._checksum}".rstrip()


@final
class Views(Axis):
    """Ways to change the plain fields at random.

    Args:
        views: Views of the data, whose changes are made in the place of its augmentation; ``augment`` is that itself,
            and ``plain`` changes nothing.

    Raises:
        LearnerError: There are fewer than two, or one stands twice.
    """

    kind = "views"

    def __init__(self, views: Sequence[str]) -> None:
        self.views = tuple(views)
        if isinstance(views, str) or len({*self.views}) < max(2, len(self.views)):
            raise LearnerError(f"arms by views: expected two different views or more, got {views!r}.")

    def parts(self, model: Model, loaders: DataLoaders, phase: str, datasets: Sequence[str]) -> Mapping[str, Part]:
        """A view each."""
        return {name: Part(view=None if name == "augment" else name) for name in self.views}

    def problems(self, path: Path, model: Model, loaders: DataLoaders) -> Iterator[Problem]:
        """There is no such view."""
        known = ("plain", "augment", *loaders.view_fields)
        for place, name in enumerate(self.views):
            if name not in known:
                yield Problem((*path, "views", place), f"the data has no view {name!r}.", did_you_mean(name, known))

    def identity(self) -> str:
        """The views."""
        return f"views {', '.join(self.views)}"


_BY_NAME: Mapping[str, type[Axis]] = {axis.kind: axis for axis in (DataSets, Tasks, Objectives)}


def axes_of(arms: str | Axis | Sequence[str | Axis]) -> tuple[Axis, ...]:
    """Axes, of which some are named.

    Args:
        arms: ``datasets``, ``tasks``, ``objectives``, an `Axis`, or several of these.

    Raises:
        LearnerError: There is no such kind, none is given, or one stands twice.
    """
    several = [arms] if isinstance(arms, (str, Axis)) else [*arms]
    for name in several:
        if isinstance(name, str) and name not in _BY_NAME:
            near = did_you_mean(name, _BY_NAME)
            raise LearnerError(f"there are no arms of the kind {name!r}. {near} Or give an Axis.")
    axes = tuple(_BY_NAME[axis]() if isinstance(axis, str) else axis for axis in several)
    kinds = [axis.kind for axis in axes]
    if not axes or len({*kinds}) < len(kinds):
        raise LearnerError(f"expected arms of one kind or of several different ones, got {', '.join(kinds) or 'none'}.")
    return axes
