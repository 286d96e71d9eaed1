"""The changes behind one key of a policy: of one field, or of fields that change together."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, final

from jumpml.core import ANSWER, field_of
from jumpml.data.augment._augmentation import Augmentation, Made, Mixing, Telling
from jumpml.data.augment._mixing import shares

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Generator, Tensor

    from jumpml.core import FieldInfo, ValueInfo
    from jumpml.data.augment._augmentation import Change

# Which axes of a row are places, by kind: fields that move together must agree in these.
_PLACES = {"image": slice(1, None), "mask": slice(None), "audio": slice(1, None), "series": slice(0, 1)}


def names_of(key: str) -> tuple[str, ...]:
    """The fields behind a key: ``"image, mask"`` names two."""
    return tuple(name.strip() for name in key.split(","))


@final
class Group:
    """Fields and the changes that they go through.

    What moves values moves all the fields alike; what mixes rows mixes them in all fields alike. Any other change is
    made in each field that it suits, and drawn anew for each.

    Args:
        key: The fields' names, with commas between them.
        steps: The changes, in order.
        fields: What each field is.

    Attributes:
        fields: The fields' names.
        moves: Whether values go to other places.
        changed: The fields in which any change is made.
        mixes: Whether rows are mixed with each other.
        shared: The categories that become shares of their classes.
        opened: The masks into which pixels of no class come.
        told: What steps tell of the fields, such as ``image.hidden``.
        answers: By field, of how many things a step does one and tells which.
    """

    def __init__(self, key: str, steps: Sequence[Change], fields: Mapping[str, FieldInfo]) -> None:
        self.key = key
        self.fields = names_of(key)
        self._infos = [fields[name] for name in self.fields]
        self._steps = [step if isinstance(step, Mixing) else self._suited(step) for step in steps if not _is_late(step)]
        self._late = [self._suited(cast("Augmentation", step)) for step in steps if _is_late(step)]
        self.moves = any(isinstance(step, Augmentation) and step.moves for step in steps)
        self.mixes = any(isinstance(step, Mixing) for step in steps)
        opens = any(isinstance(step, Augmentation) and step.opens for step in steps)
        self.opened = tuple(info.name for info in self._infos if opens and info.kind == "mask")
        telling = [
            (name, step)
            for made in (*self._steps, *self._late)
            if not isinstance(made, Mixing)
            for name, step in made.items()
            if isinstance(step, Telling)
        ]
        self.told = frozenset(name + suffix for name, step in telling for suffix in step.tells)
        self.answers = {name: step.answers for name, step in telling if ANSWER in step.tells}
        changing = [self.fields if isinstance(step, Mixing) else step for step in (*self._steps, *self._late)]
        self.changed = frozenset(name for fields in changing for name in fields)
        self.shared = tuple(info.name for info in self._infos if self.mixes and info.kind == "category")

    @property
    def after_features(self) -> bool:
        """Whether it changes what features give."""
        return bool(self._late)

    def change(self, values: dict[str, Tensor], generator: Generator) -> None:
        """Put changed values in the place of decoded ones, and what is told (``image.answer``) beside them."""
        for name in self.shared:
            values[name] = shares(values[name], len(self._info(name).classes))
        for step in self._steps:
            if isinstance(step, Mixing):
                mixed = step([values[name] for name in self.fields], generator)
                values.update(zip(self.fields, mixed, strict=True))
            else:
                _change(step, values, generator)

    def change_features(self, field: str, made: Made, generator: Generator) -> dict[str, Tensor]:
        """Change what a field's features give; beside it what is told."""
        told: dict[str, Tensor] = {}
        for step in self._late:
            if field in step:
                values, found = _told(step[field], made, generator)
                made = made._replace(values=values)
                told |= {field + suffix: content for suffix, content in found.items()}
        return {field: made.values, **told}

    def problem_after_features(self, field: str, value: ValueInfo) -> str:
        """Why such rows as a field's features give cannot be changed; empty where they can."""
        info = self._info(field)
        found = (step[field].problem_after_features(info, value) for step in self._late if field in step)
        return next(filter(None, found), "")

    def _info(self, name: str) -> FieldInfo:
        return self._infos[self.fields.index(name)]

    def _suited(self, step: Augmentation) -> dict[str, Augmentation]:
        """The change by field, for those in which it is made."""
        return {info.name: step.suited(info) for info in self._infos if step.moves or not step.problem(info)}


def group_problems(steps: Sequence[Change], infos: Sequence[FieldInfo], *, telling: bool) -> Iterator[tuple[int, str]]:
    """What is wrong with the changes of one key: the position of the step, and why it cannot be made.

    Args:
        steps: The changes.
        infos: The fields that the key names.
        telling: Whether there is somebody to tell what was done, as in a view.
    """
    late, twice = None, len({info.name for info in infos}) < len(infos)
    for position, step in enumerate(steps):
        problem = "the key names a field twice." if twice else _problem(step, infos)
        if not problem and isinstance(step, Telling) and not telling:
            problem = f"{step.name} is for views: an objective asks the model what it did. {step.instead}"
        if not problem and late is not None and not _is_late(step):
            problem = f"step {late + 1} changes what the features give, which comes later; put it last."
        if problem:
            yield position, problem
        late = position if _is_late(step) else late


def telling_problems(by_field: Mapping[str, Sequence[Change]]) -> Iterator[tuple[str, int, str]]:
    """What the changes of a view would tell wrongly: the key and the position of the step, and why.

    Args:
        by_field: The view's changes, by the fields that they are made in.
    """
    told: list[str] = []
    for key, steps in by_field.items():
        for position, step in enumerate(steps):
            if isinstance(step, Mixing):
                mixed = [name for name in told if field_of(name) in names_of(key)]
                if mixed:
                    problem = f"what tells {mixed[0]!r} of each row comes before a mixture of rows. Put that first."
                    yield key, position, problem
            elif isinstance(step, Telling):
                tells = [name + suffix for name in names_of(key) for suffix in step.tells]
                twice = [name for name in tells if name in told]
                if twice:
                    problem = f"a step before tells {twice[0]!r} already. Leave one out, or make another view of it."
                    yield key, position, problem
                told += tells


def _problem(step: Change, infos: Sequence[FieldInfo]) -> str:
    if isinstance(step, Mixing):
        return step.problem(infos) or _sizes_problem(infos)
    found = [(info, step.problem(info)) for info in infos]
    if len(found) == 1:
        return found[0][1]
    wrong = [f"{info.name!r}: {problem}" for info, problem in found if problem]
    if step.moves:
        return wrong[0] if wrong else _sizes_problem(infos)
    return wrong[0] if len(wrong) == len(infos) else ""


def _sizes_problem(infos: Sequence[FieldInfo]) -> str:
    """Fields that change places together have the same places."""
    sized = [(info, info.value.shape[_PLACES[info.kind]]) for info in infos if info.kind in _PLACES]
    sized = [(info, size) for info, size in sized if 0 not in size]  # 0 is a size that only the data tells
    for info, size in sized[1:]:
        first, expected = sized[0]
        if size != expected:
            told = " and ".join(
                f"{i.name!r} has {' x '.join(map(str, s))}" for i, s in ((first, expected), (info, size))
            )
            return f"expected fields of one size, since they change together; {told}."
    return ""


def _is_late(step: Change) -> bool:
    return isinstance(step, Augmentation) and step.after_features


def _change(step: Mapping[str, Augmentation], values: dict[str, Tensor], generator: Generator) -> None:
    """Make one change in its fields; what moves values draws the same for all of them."""
    state = None
    for name, change in step.items():
        if change.moves and len(step) > 1:
            state = generator.get_state() if state is None else state
            generator.set_state(state)
        values[name], told = _told(change, Made(values[name], values[name]), generator)
        values |= {name + suffix: content for suffix, content in told.items()}


def _told(change: Augmentation, made: Made, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
    return change.tell(made, generator) if isinstance(change, Telling) else (change(made.values, generator), {})
