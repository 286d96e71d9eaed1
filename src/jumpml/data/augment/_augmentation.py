"""What a random change is: of one field, or of several fields' rows with each other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Generator

    from jumpml.core import Element, FieldInfo, ValueInfo


class Augmentation(ABC):
    """One random change of one field. An instance holds its strength and no state: equal generators, equal results.

    Each row is drawn on its own.
    """

    moves: ClassVar[bool] = False
    """Whether values go to other places, so that fields that are named together move alike. What is drawn must then
    depend on nothing but the number of rows."""
    opens: ClassVar[bool] = False
    """Whether places come in from outside that no value is known of: -1 in a mask."""
    after_features: ClassVar[bool] = False
    """Whether it changes what the field's features give, and not the decoded values."""

    @abstractmethod
    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change each row of ``[batch, ...]``; the generator is on the values' device."""

    @abstractmethod
    def problem(self, field: FieldInfo) -> str:
        """Why the field's values cannot be changed so; empty where they can."""

    def suited(self, field: FieldInfo) -> Augmentation:
        """The change as it is made in one field: itself, unless it has to know more of the field than its values."""
        return self

    def problem_after_features(self, field: FieldInfo, value: ValueInfo) -> str:
        """Why such rows as the field's features give cannot be changed so; only for `after_features`."""
        return ""


class Made(NamedTuple):
    """What is changed, and what it was made of.

    Attributes:
        values: ``[batch, ...]``.
        decoded: The field's values before features, ``[batch, ...]``; these very values where there are none.
        elements: What the elements of a row are that features made of a table; else empty.
    """

    values: Tensor
    decoded: Tensor
    elements: tuple[Element, ...] = ()


class Telling(Augmentation):
    """A random change that tells what it did, for objectives that ask the model just that; only views have such."""

    tells: ClassVar[tuple[str, ...]]
    """What it tells, as what stands behind the field's name: `HIDDEN` and `WHOLE`, or `ANSWER`."""
    name: ClassVar[str]
    """What files call it."""
    instead: ClassVar[str]
    """What to take where nobody asks."""
    answers: int = 0
    """Of how many things it does one, where it tells which."""

    @abstractmethod
    def tell(self, made: Made, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Change each row; beside it what is told, by `tells`."""

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change each row of ``[batch, ...]``; the generator is on the values' device."""
        return self.tell(Made(values, values), generator)[0]


class Mixing(ABC):
    """One random change that mixes the rows of a batch with each other, in several fields alike."""

    @abstractmethod
    def __call__(self, values: Sequence[Tensor], generator: Generator) -> list[Tensor]:
        """Mix the fields' values, ``[batch, ...]`` each; a category comes as float32 shares ``[batch, classes]``."""

    @abstractmethod
    def problem(self, fields: Sequence[FieldInfo]) -> str:
        """Why these fields cannot be mixed; empty where they can."""


Change = Augmentation | Mixing


def uniform(shape: int | tuple[int, ...], generator: Generator, like: Tensor) -> Tensor:
    """Float32 numbers in [0, 1) on the device of `like`."""
    return torch.rand(shape, generator=generator, device=like.device)


def within(ends: tuple[float, float], drawn: Tensor) -> Tensor:
    """Numbers in [0, 1) as numbers between two ends."""
    return ends[0] + drawn * (ends[1] - ends[0])


def between(size: int, start: Tensor, length: Tensor) -> Tensor:
    """Bool ``[batch, size]``: which positions lie in ``[start, start + length)``."""
    position = torch.arange(size, device=start.device)
    return (position >= start.unsqueeze(1)) & (position < (start + length).unsqueeze(1))


def by_row(drawn: Tensor, values: Tensor) -> Tensor:
    """One number a row, ``[batch]``, in a shape that goes with ``[batch, ...]``."""
    return drawn.view(-1, *[1] * (values.dim() - 1))


def only_for(name: str, kinds: str, field: FieldInfo) -> str:
    """The complaint about a field of another kind."""
    return f"{name} is for {kinds}; this field is {'an' if field.kind[0] in 'aeiou' else 'a'} {field.kind}."
