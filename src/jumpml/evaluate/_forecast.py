"""What a forecast is measured against: the last known value, and the value one season before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.graph import channels_of

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.core import Task
    from jumpml.data import DataLoaders, Loader


def baselines(loaders: DataLoaders, task: Task, target: Tensor, loader: Loader) -> dict[str, Tensor]:
    """What a forecast's metrics read beside it, a row each.

    Args:
        loaders: The data.
        task: It has a history.
        target: In raw units, ``[rows, steps, channels]``.
        loader: Of the target's rows.

    Returns:
        As `Predictions.aside` has it.
    """
    past, steps = history_of(loaders, task, loader), target.shape[1]
    found = {"past": past, "last": last_value(past, steps).flatten(1)}
    if task.season > 1:
        found["season"] = last_season(past, steps, task.season).flatten(1)
    train = loaders.train.decoded(task.target).cpu()
    scale = naive_error(history_of(loaders, task, loaders.train), train, task.season)
    return found | {"scale": scale.repeat(steps).expand(len(target), -1)}


def history_of(loaders: DataLoaders, task: Task, loader: Loader) -> Tensor:
    """What comes before each row's target, of its channels, in raw units: float32 ``[rows, past, channels]``."""
    history = loaders.fields[task.history or ""]
    channels = channels_of(loaders.fields[task.target], history)
    return loader.decoded(history.name)[..., channels].cpu()


def last_value(past: Tensor, steps: int) -> Tensor:
    """The last known value at each step, ``[rows, steps, channels]``.

    Args:
        past: ``[rows, past, channels]``.
        steps: How many are foretold.
    """
    return past[:, -1:].expand(-1, steps, -1)


def last_season(past: Tensor, steps: int, season: int) -> Tensor:
    """The last known season, again and again, ``[rows, steps, channels]``.

    Args:
        past: ``[rows, past, channels]``, of a season or more.
        steps: How many are foretold.
        season: Its length in steps.

    Example:
        >>> last_season(torch.tensor([[[9.0], [1.0], [2.0]]]), 3, 2).flatten()
        tensor([1., 2., 1.])
    """
    place = past.shape[1] - season + torch.arange(steps) % season
    return past[:, place]


def naive_error(past: Tensor, target: Tensor, season: int) -> Tensor:
    """The mean absolute difference of a step to the one a season before it, by channel.

    It is what a mean absolute scaled error is scaled by, where the rows are those of the train split (Hyndman and
    Koehler 2006, https://doi.org/10.1016/j.ijforecast.2006.03.001).

    Args:
        past: ``[rows, past, channels]``, of a season or more; NaN where missing.
        target: The steps that follow, ``[rows, steps, channels]``.
        season: Its length in steps.

    Returns:
        float64 ``[channels]``.

    Example:
        >>> naive_error(torch.tensor([[[1.0], [2.0]]]), torch.tensor([[[4.0], [7.0]]]), 1)
        tensor([2.5000], dtype=torch.float64)
    """
    steps, length = target.shape[1], past.shape[1]
    whole = torch.cat([past, target], dim=1).double()
    before = whole[:, length - season : length - season + steps]
    return (whole[:, length:] - before).abs().flatten(0, 1).nanmean(0)
