"""What is drawn at random for the train rows: augmentation, and the views that objectives ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.core import DataError, derive_seed, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.data.augment._augmentations import Augmentation

PLAIN = ""  # the draw that augments the plain fields; the others are named "view.number"


@final
class Policies:
    """Augmentation steps by field, and by view and field.

    Every draw is a function of (seed, draw, field, epoch, batch), so that any batch can be made again alone.

    Args:
        augment: Steps by field, for the plain fields.
        views: Steps by view and field.
    """

    def __init__(
        self, augment: Mapping[str, Sequence[Augmentation]], views: Mapping[str, Mapping[str, Sequence[Augmentation]]]
    ) -> None:
        self._steps = {view: {field: tuple(steps) for field, steps in fields.items()} for view, fields in views.items()}
        self._steps[PLAIN] = {field: tuple(steps) for field, steps in augment.items() if steps}
        self._generators: dict[torch.device, torch.Generator] = {}

    @property
    def view_fields(self) -> dict[str, frozenset[str]]:
        """The fields that each view touches."""
        return {view: frozenset(fields) for view, fields in self._steps.items() if view != PLAIN}

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
        return tuple(self._steps[view])

    def apply(self, draw: str, field: str, values: Tensor, *, seed: int, epoch: int, batch: int) -> Tensor:
        """Change one field's decoded values ``[batch, ...]`` as the draw's steps say."""
        generator = self._generators.get(values.device)
        if generator is None:
            generator = self._generators[values.device] = torch.Generator(values.device)
        generator.manual_seed(derive_seed(seed, "augment", draw, field, epoch, batch))
        for step in self._steps[draw.rpartition(".")[0]][field]:
            values = step(values, generator)
        return values
