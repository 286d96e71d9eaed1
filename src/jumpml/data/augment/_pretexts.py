"""Changes of which a model can say which one was made: turns, and pieces in another order."""

from __future__ import annotations

from abc import abstractmethod
from itertools import permutations
from math import factorial
from random import Random
from typing import TYPE_CHECKING, Self, final

import torch

from jumpml.core import ANSWER
from jumpml.data.augment._augmentation import Made, Telling, only_for

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from jumpml.core import FieldInfo

CANDIDATES = 4096  # orders among which the ones that are furthest from each other are looked for


class _Pretext(Telling):
    """One of several changes, each as likely as the others; the fields of a key get the same one."""

    moves = True
    tells = (ANSWER,)
    instead = "Leave it out of `augment`."

    def tell(self, made: Made, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Change ``[batch, ...]``; int64 ``[batch]`` is told, which change it was. Of the first, nothing changes."""
        values = made.values
        answer = torch.randint(self.answers, (len(values),), generator=generator, device=values.device)
        return self._changed(values, answer), {ANSWER: answer}

    @abstractmethod
    def _changed(self, values: Tensor, answer: Tensor) -> Tensor:
        """Make the change of each row that its answer names."""


@final
class QuarterTurn(_Pretext):
    """Turn each picture by 0, 90, 180 or 270 degrees, against the clock, and tell which: answers 0 to 3.

    See Gidaris et al. 2018, https://arxiv.org/abs/1803.07728.

    Example:
        >>> from jumpml.data import Made
        >>> pictures = torch.arange(4.0).view(1, 1, 2, 2)
        >>> turned, told = QuarterTurn().tell(Made(pictures, pictures), torch.Generator().manual_seed(1))
        >>> told[".answer"], turned[0, 0]
        (tensor([1]), tensor([[1., 3.],
                [0., 2.]]))
    """

    name = "quarter_turn"
    answers = 4

    def _changed(self, values: Tensor, answer: Tensor) -> Tensor:
        out = values
        for turns in range(1, 4):
            this = (answer == turns).view(-1, *[1] * (values.dim() - 1))
            out = torch.where(this, values.rot90(turns, (-2, -1)), out)
        return out

    def problem(self, field: FieldInfo) -> str:
        """Needs pictures as high as wide, so that their shape stays."""
        if field.kind not in {"image", "mask"}:
            return only_for("quarter_turn", "images and masks", field)
        height, width = field.value.shape[-2:]
        if height != width:
            return f"a quarter turn would change the shape: expected pictures as high as wide, got {height} x {width}."
        return ""


@final
class Jigsaw(_Pretext):
    """Cut each picture into pieces, put them in one of several orders, and tell in which.

    The orders are the same for every data set and run: the first is the picture's own, and each further one differs
    from those before it in as many places as possible (Noroozi and Favaro 2016, https://arxiv.org/abs/1603.09246). The
    picture is cut in place: no pixel is lost.

    Args:
        pieces: Along each side.
        permutations: How many orders.

    Attributes:
        orders: int64 ``[permutations, pieces * pieces]``: which piece comes to each place, line by line.

    Example:
        >>> Jigsaw(2, 3).orders
        tensor([[0, 1, 2, 3],
                [1, 0, 3, 2],
                [2, 3, 0, 1]])
    """

    name = "jigsaw"

    def __init__(self, pieces: int, permutations: int = 24) -> None:
        self.pieces, self.answers = pieces, permutations
        self.orders = orders(pieces**2, min(permutations, factorial(pieces**2)))

    def _changed(self, values: Tensor, answer: Tensor) -> Tensor:
        batch, pieces, (height, width) = len(values), self.pieces, values.shape[-2:]
        cut = values.reshape(batch, -1, pieces, height // pieces, pieces, width // pieces).transpose(3, 4)
        cut = cut.flatten(2, 3)  # [batch, channels, pieces, height, width]
        source = self.orders.to(values.device)[answer].view(batch, 1, -1, 1, 1)
        cut = cut.gather(2, source.expand_as(cut)).unflatten(2, (pieces, pieces))
        return cut.transpose(3, 4).reshape(values.shape)

    def problem(self, field: FieldInfo) -> str:
        """Needs pictures that the pieces divide, and as many orders as there are."""
        if field.kind not in {"image", "mask"}:
            return only_for("jigsaw", "images and masks", field)
        height, width = field.value.shape[-2:]
        if height % self.pieces or width % self.pieces:
            return (
                f"{self.pieces} x {self.pieces} pieces would lose pixels of {height} x {width}: expected a height and "
                "a width that the number divides."
            )
        if self.answers > factorial(self.pieces**2):
            most = factorial(self.pieces**2)
            return f"{self.pieces**2} pieces have {most} orders, and {self.answers} are asked for."
        return ""


@final
class Reorder(_Pretext):
    """Cut each series or recording into segments, put them in any of their orders, and tell in which.

    As shuffle and learn asks it of the frames of a film (Misra et al. 2016, https://arxiv.org/abs/1603.08561), and Lee
    et al. 2017 (https://arxiv.org/abs/1708.01246) with all orders as answers.

    Args:
        segments: How many, as long as each other, but for what does not divide.

    Attributes:
        orders: int64 ``[answers, segments]``: which segment comes to each place.

    Example:
        >>> from jumpml.core import FieldInfo, ValueInfo
        >>> step = Reorder(2).suited(FieldInfo(name="s", kind="series", value=ValueInfo(shape=(4, 1))))
        >>> step(torch.arange(4.0).view(1, 4, 1), torch.Generator().manual_seed(1)).flatten()
        tensor([2., 3., 0., 1.])
    """

    name = "order"

    def __init__(self, segments: int, *, axis: int = 1) -> None:
        self.segments, self._axis = segments, axis
        self.orders = orders(segments, factorial(segments))
        self.answers = len(self.orders)

    def suited(self, field: FieldInfo) -> Self:
        """The same, along the axis of the field's time."""
        return type(self)(self.segments, axis=1 if field.kind == "series" else 2)

    def _changed(self, values: Tensor, answer: Tensor) -> Tensor:
        size = values.shape[self._axis]
        place = self.orders.argsort(1).to(values.device)[answer]
        step = torch.arange(size, device=values.device)
        # A step's new place: behind all steps of the segments before its own, in the order that it had.
        source = (place[:, step * self.segments // size] * size + step).argsort(1)
        shape = [len(values), *[1] * (values.dim() - 1)]
        shape[self._axis] = size
        return values.gather(self._axis, source.view(shape).expand_as(values))

    def problem(self, field: FieldInfo) -> str:
        """Needs a series or a recording of as many steps as segments."""
        if field.kind not in {"series", "audio"}:
            return only_for("order", "series and audio", field)
        steps = field.value.shape[0 if field.kind == "series" else -1] if field.value.shape else 0
        if self.segments > steps > 0:  # 0 is a size that only the data tells
            return f"expected no more segments than there are steps, {steps}; got {self.segments}."
        return ""


def orders(places: int, number: int) -> Tensor:
    """Orders of so many places, int64 ``[number, places]``: all of them, or such as are far from each other.

    Args:
        places: How many.
        number: Of orders. The first is the plain one.
    """
    if number == factorial(places):
        return torch.tensor(list(permutations(range(places))))
    among = torch.tensor(_candidates(places, number))
    found, nearest = [among[0]], torch.full((len(among),), places + 1)
    while len(found) < number:
        nearest = nearest.minimum((among != found[-1]).sum(1))
        found.append(among[int(nearest.argmax())])
    return torch.stack(found)


def _candidates(places: int, number: int) -> list[tuple[int, ...]]:
    """All orders where these are few; else some, that are the same for ever: Python's generator is kept as it is."""
    if factorial(places) <= max(CANDIDATES, number):
        return list(permutations(range(places)))
    generator, found = Random(0), {tuple(range(places)): None}
    while len(found) < max(CANDIDATES, 2 * number):
        found[tuple(generator.sample(range(places), places))] = None
    return list(found)
