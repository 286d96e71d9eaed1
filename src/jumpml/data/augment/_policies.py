"""What is drawn at random for the train rows: augmentation, and the views that objectives ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.core import HIDDEN, DataError, derive_seed, did_you_mean
from jumpml.data.augment._group import Group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import FieldInfo, ValueInfo
    from jumpml.data.augment._augmentation import Change, Made

PLAIN = ""  # the draw that augments the plain fields; the others are named "view.number"
UNCHANGED = "plain"  # what stands for no change, where a view's name may take the place of augmentation


@final
class Policies:
    """Random changes by field, and by view and field.

    Every draw is a function of (seed, draw, fields, epoch, batch), so that any batch can be made again alone.

    Args:
        augment: Changes of the plain fields, by a field's name or several names with commas between them; they are made
            in this order.
        views: Changes by view and field.
        fields: What each field is.
    """

    def __init__(
        self,
        augment: Mapping[str, Sequence[Change]],
        views: Mapping[str, Mapping[str, Sequence[Change]]],
        fields: Mapping[str, FieldInfo],
    ) -> None:
        self._groups = {
            view: tuple(Group(key, steps, fields) for key, steps in by_field.items())
            for view, by_field in views.items()
        }
        self._groups[PLAIN] = tuple(Group(key, steps, fields) for key, steps in augment.items() if steps)
        self._generators: dict[torch.device, torch.Generator] = {}

    @property
    def view_fields(self) -> dict[str, frozenset[str]]:
        """The fields that each view touches."""
        return {view: frozenset(self._fields(view)) for view in self._groups if view != PLAIN}

    @property
    def told(self) -> dict[str, frozenset[str]]:
        """By view, what its steps tell of the fields, such as ``image.hidden``."""
        views = [view for view in self._groups if view != PLAIN]
        return {view: frozenset[str]().union(*(group.told for group in self._groups[view])) for view in views}

    def hides(self, field: str) -> frozenset[str]:
        """The views that tell what of a field they hid."""
        return frozenset(view for view, told in self.told.items() if field + HIDDEN in told)

    def answers(self, field: str) -> dict[str, int]:
        """By view that tells which of several things it did to a field, how many these are."""
        return {
            view: group.answers[field]
            for view, groups in self._groups.items()
            for group in groups
            if field in group.answers
        }

    @property
    def changed(self) -> dict[str, frozenset[str]]:
        """By view, the fields that a step of it changes; those that it names without a step stay as they are."""
        views = [view for view in self._groups if view != PLAIN]
        return {view: frozenset[str]().union(*(group.changed for group in self._groups[view])) for view in views}

    @property
    def moved(self) -> dict[str, frozenset[str]]:
        """By view, the fields whose values it moves to other places."""
        moving = {view: [group for group in groups if group.moves] for view, groups in self._groups.items()}
        return {view: frozenset(name for group in groups for name in group.fields) for view, groups in moving.items()}

    def fields(self, draw: str) -> tuple[str, ...]:
        """The fields that a draw touches.

        Args:
            draw: ``view.number``, or ``PLAIN``.

        Raises:
            DataError: There is no such view.
        """
        view, _, number = draw.rpartition(".")
        if draw != PLAIN and (not number.isdecimal() or view not in self.view_fields):
            near = did_you_mean(view or draw, self.view_fields)
            raise DataError(f"expected the name and number of a view, such as 'strong.0'; got {draw!r}. {near}")
        return self._fields(view)

    def instead(self, view: str | None) -> str | None:
        """The draw that changes the plain fields where a view takes the place of augmentation; None changes nothing.

        It is another draw than those that objectives ask for, whose numbers are written without a leading 0.

        Args:
            view: Its name, ``plain``, or None for the augmentation itself.

        Raises:
            DataError: There is no such view.
        """
        if view in {None, UNCHANGED}:
            return PLAIN if view is None else None
        self.fields(draw := f"{view}.00")
        return draw

    @property
    def mixes_rows(self) -> bool:
        """Whether the plain fields' rows are mixed with each other."""
        return bool(self.mixed)

    @property
    def mixed(self) -> tuple[tuple[str, ...], ...]:
        """The plain fields whose rows are mixed with each other, those together that are mixed alike."""
        return tuple(group.fields for group in self._groups[PLAIN] if group.mixes)

    @property
    def shared(self) -> frozenset[str]:
        """The categories that some draw turns into shares of their classes."""
        return frozenset(name for groups in self._groups.values() for group in groups for name in group.shared)

    @property
    def opened(self) -> frozenset[str]:
        """The masks into which some draw lets pixels of no class."""
        return frozenset(name for groups in self._groups.values() for group in groups for name in group.opened)

    def after_features(self, draw: str) -> frozenset[str]:
        """The fields of which a draw changes what their features give."""
        late = [group for group in self._groups[_view(draw)] if group.after_features]
        return frozenset(name for group in late for name in group.fields)

    def apply(self, draw: str, values: Mapping[str, Tensor], *, seed: int, epoch: int, batch: int) -> dict[str, Tensor]:
        """Change decoded values as the draw's steps say.

        Args:
            draw: ``view.number``, or ``PLAIN``.
            values: ``[batch, ...]`` of all the draw's `fields`; they are left as they are.
            seed: The run's.
            epoch: The epoch's number.
            batch: The batch's number in the epoch.

        Returns:
            The same fields. A category that was mixed is float32 ``[batch, classes]``. Beside them what steps told:
            ``<field>.answer``, int64 ``[batch]``.
        """
        drawn = {name: values[name] for name in self.fields(draw)}
        for group in self._groups[_view(draw)]:
            seeded = derive_seed(seed, "augment", draw, group.key, epoch, batch)
            group.change(drawn, self._seeded(seeded, drawn[group.fields[0]]))
        return drawn

    def apply_after(self, draw: str, field: str, made: Made, *, seed: int, epoch: int, batch: int) -> dict[str, Tensor]:
        """Change what a field's features give where the draw has steps that do; see `apply`.

        Returns:
            The field, and beside it what steps told: ``<field>.hidden``, bool of its shape, and ``<field>.whole``.
        """
        told: dict[str, Tensor] = {}
        for group in self._groups[_view(draw)]:
            if group.after_features and field in group.fields:
                seeded = derive_seed(seed, "augment features", draw, group.key, field, epoch, batch)
                told |= group.change_features(field, made, self._seeded(seeded, made.values))
                made = made._replace(values=told[field])
        return told | {field: made.values}

    def problem_after_features(self, field: str, value: ValueInfo) -> str:
        """Why what a field's features give cannot be changed as asked; empty where it can."""
        for view, groups in self._groups.items():
            for group in groups:
                problem = group.problem_after_features(field, value) if field in group.fields else ""
                if problem:
                    return f"{f'view {view!r}' if view else 'augment'}, {group.key!r}: {problem}"
        return ""

    def _fields(self, view: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for group in self._groups[view] for name in group.fields))

    def _seeded(self, seed: int, like: Tensor) -> torch.Generator:
        if like.device not in self._generators:
            self._generators[like.device] = torch.Generator(like.device)
        return self._generators[like.device].manual_seed(seed)


def _view(draw: str) -> str:
    return draw.rpartition(".")[0]
