"""Rows mixed with each other, labels and all."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.data.augment._augmentation import Mixing, between, by_row, only_for, uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Generator, Tensor

    from jumpml.core import FieldInfo

LABELS = ("category", "multilabel", "number")


@final
class Mixup(Mixing):
    """Replace each row by a weighted mean of itself and another row of the batch (Zhang et al. 2018).

    The label is mixed alike: a category becomes shares of its classes, ``[batch, classes]``. See
    https://arxiv.org/abs/1710.09412.

    Args:
        alpha: A row's own weight follows the distribution Beta(alpha, alpha): the larger, the nearer to a half.
        probability: The share of rows that are mixed.

    Example:
        >>> x, label = torch.tensor([[0.0], [1.0]]), torch.eye(2)
        >>> x, label = Mixup(1.0)([x, label], torch.Generator().manual_seed(3))
        >>> bool((x[:, 0] == label[:, 1]).all())
        True
    """

    def __init__(self, alpha: float = 0.2, probability: float = 1.0) -> None:
        self.alpha, self.probability = alpha, probability

    def __call__(self, values: Sequence[Tensor], generator: Generator) -> list[Tensor]:
        """Mix float32 ``[batch, ...]`` each."""
        partner, own = _draw(values[0], self.alpha, self.probability, generator)
        return [_mean(each, each[partner], own) for each in values]

    def problem(self, fields: Sequence[FieldInfo]) -> str:
        """Needs numbers and their label."""
        return _mixing_problem("mixup", ("image", "tensor", "audio", "series"), fields)


@final
class CutMix(Mixing):
    """Replace a rectangle of each picture by that of another row of the batch (Yun et al. 2019).

    The label becomes shares of both labels, as large as their areas; a mask of class codes is cut and pasted like the
    picture. See https://arxiv.org/abs/1905.04899.

    Args:
        alpha: The picture's own share, before the rectangle is cut at the border, follows Beta(alpha, alpha).
        probability: The share of rows that are changed.

    Example:
        >>> picture = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)])
        >>> picture, label = CutMix()([picture, torch.eye(2)], torch.Generator().manual_seed(3))
        >>> bool((picture.mean((1, 2, 3)) == label[:, 1]).all())
        True
    """

    def __init__(self, alpha: float = 1.0, probability: float = 1.0) -> None:
        self.alpha, self.probability = alpha, probability

    def __call__(self, values: Sequence[Tensor], generator: Generator) -> list[Tensor]:
        """Mix pictures ``[batch, channels, height, width]``, masks ``[batch, height, width]`` and labels."""
        height, width = next(each.shape[-2:] for each in values if each.dim() > 2)
        partner, own = _draw(values[0], self.alpha, self.probability, generator)
        centre = uniform((2, len(partner)), generator, values[0])
        side = (1 - own).sqrt()
        inside = _side(height, centre[0], side).unsqueeze(2) & _side(width, centre[1], side).unsqueeze(1)
        own = 1 - inside.float().mean((1, 2))
        return [
            _mean(each, each[partner], own)
            if each.dim() <= 2
            else torch.where(inside.unsqueeze(1) if each.dim() == 4 else inside, each[partner], each)
            for each in values
        ]

    def problem(self, fields: Sequence[FieldInfo]) -> str:
        """Needs pictures of one size and their label."""
        return _mixing_problem("cutmix", ("image", "mask"), fields)


def shares(codes: Tensor, classes: int) -> Tensor:
    """Class codes ``[batch]`` as float32 ``[batch, classes]``; shares that are mixed already pass."""
    return torch.nn.functional.one_hot(codes, classes).float() if codes.dim() == 1 else codes


def _draw(like: Tensor, alpha: float, probability: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Each row's partner, and its own weight; 1 for a row that is left alone."""
    rows, device = len(like), like.device
    partner = torch.randperm(rows, generator=generator, device=device)
    # What torch.distributions.Beta draws by, which takes no generator.
    own = torch._sample_dirichlet(torch.full((rows, 2), alpha, device=device), generator=generator)[:, 0]
    return partner, torch.where(uniform(rows, generator, like) < probability, own, 1.0)


def _mean(own: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    weight = by_row(weight, own)
    return weight * own + (1 - weight) * other


def _side(size: int, centre: Tensor, share: Tensor) -> Tensor:
    """Bool ``[batch, size]``: the positions of a rectangle around a centre, cut at the border."""
    length = (share * size).round()
    return between(size, (centre * size).floor() - (length / 2).floor(), length)


def _mixing_problem(name: str, kinds: tuple[str, ...], fields: Sequence[FieldInfo]) -> str:
    missing = next((field for field in fields if field.missing), None)
    foreign = next((field for field in fields if field.kind not in (*kinds, *LABELS)), None)
    if foreign is not None:
        told = only_for(name, f"fields of kind {', '.join(kinds)} and their labels", foreign)
        return f"{foreign.name!r}: {told}"
    if missing is not None:
        told = f"{missing.missing} values are missing, and a row cannot be mixed with what is not there."
        return f"{missing.name!r}: {told} Leave those rows out, or take another step."
    mixed = [field for field in fields if field.kind in kinds]
    if not mixed:
        return f"{name} needs a field of kind {' or '.join(kinds)} beside the label."
    if len(fields) < 2:
        return f'{name} mixes rows, so their label has to be mixed alike: name both in one key, such as "image, label".'
    return ""
