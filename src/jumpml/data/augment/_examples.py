"""A few train rows, as they are and as the policies draw them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jumpml.core import DataError, did_you_mean
from jumpml.data.augment._policies import PLAIN

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.core import FieldInfo
    from jumpml.data._loaders import DataLoaders


@dataclass(frozen=True)
class Versions:
    """One field of some rows, again and again.

    Attributes:
        field: What it is.
        featurised: Whether these are what its features give, since that is what is changed.
        values: The original and the draws, ``[rows, ...]`` each.
    """

    field: FieldInfo
    featurised: bool
    values: tuple[Tensor, ...]


@dataclass(frozen=True)
class Examples:
    """What one policy does to some rows.

    Attributes:
        title: ``augment``, or the view.
        fields: All fields that it touches.
    """

    title: str
    fields: tuple[Versions, ...]


def examples(loaders: DataLoaders, view: str | None, rows: int, draws: int) -> list[Examples]:
    """The first rows of the first train batch, before and after.

    Args:
        loaders: The data.
        view: A view's name, or ``augment`` for what is done to the plain fields; all that there are where None.
        rows: How many rows at most.
        draws: How many draws of each.

    Raises:
        DataError: There is no such view, or nothing is drawn at random at all.
    """
    policies = {"augment": PLAIN} if loaders.policies.fields(PLAIN) else {}
    policies |= {f"view {name}": f"{name}.0" for name in loaders.view_fields}
    if not policies:
        raise DataError("nothing is drawn at random: the data has neither `augment` nor `views`.")
    wanted = [title for title in policies if view in {None, title, title.removeprefix("view ")}]
    if not wanted:
        known = [title.removeprefix("view ") for title in policies]
        raise DataError(f"there is no view {view!r}. {did_you_mean(str(view), known)}")
    return [_examples(loaders, title, policies[title], rows, draws) for title in wanted]


def _examples(loaders: DataLoaders, title: str, draw: str, rows: int, draws: int) -> Examples:
    policies, late = loaders.policies, loaders.policies.after_features(draw)
    loaders.bind(sorted(late))
    # A whole batch is drawn, since rows may be mixed with each other.
    positions = loaders.train.order(0)[: max(rows, loaders.batch_size)]
    decoded = {name: loaders.train.take(name, positions) for name in policies.fields(draw)}

    versions = [{name: loaders.features.apply_to(name, v) if name in late else v for name, v in decoded.items()}]
    for epoch in range(draws):
        at = {"seed": loaders.seed, "epoch": epoch, "batch": 0}
        drawn = policies.apply(draw, decoded, **at)
        for name in late:
            drawn |= policies.apply_after(draw, name, loaders.features.made(name, drawn[name]), **at)
        versions.append(drawn)
    fields = [
        Versions(loaders.fields[name], name in late, tuple(version[name][:rows].cpu() for version in versions))
        for name in decoded
    ]
    return Examples(title, tuple(fields))
