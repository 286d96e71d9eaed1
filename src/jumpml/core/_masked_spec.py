"""Objectives that ask the model what a view did: what it hid, or which of several changes it made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from jumpml.core._objective_base import ObjectiveBase, Strength


class MaskedSpec(ObjectiveBase):
    """What a view hid, to be told from the rest (He et al. 2022, https://arxiv.org/abs/2111.06377; and BERT)."""

    kind: Literal["masked"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The node that shall know what was hidden, and the field of which a view hides parts."""
    views: str
    """The view; it has the step `hide` on the field, and is drawn once."""
    decoder: tuple[PositiveInt, ...] = (128,)
    """Widths of the layers between the node and what is told; one linear layer where empty. It is not deployed."""
    layers: Annotated[int, Field(ge=0)] = 0
    """Transformer layers before them, which read all positions; for a node that gives a vector a position."""
    heads: PositiveInt = 4
    """Heads of their attention."""
    normalize: bool = False
    """Whether each patch is told on its own scale, less its mean and over its deviation."""


class VIMESpec(ObjectiveBase):
    """Which columns a view filled with other rows' values, and what stood there.

    See Yoon et al. 2020, https://proceedings.neurips.cc/paper/2020/hash/7d97667a3e056acab9aaf653807b4a03-Abstract.html.
    """

    kind: Literal["vime"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The node that shall know, and the table of which a view hides columns, with `fill: others`."""
    views: str
    """The view; it has the step `hide` on the field, and is drawn once."""
    decoder: tuple[PositiveInt, ...] = ()
    """Widths of the layers between the node and each of the two answers; one linear layer where empty."""
    values: Strength = 2.0
    """Weight of the values beside the columns."""


class PretextSpec(ObjectiveBase):
    """Which change a view made: how a picture was turned, in which order its pieces or a series' segments stand.

    See Gidaris et al. 2018, https://arxiv.org/abs/1803.07728, and Noroozi and Favaro 2016,
    https://arxiv.org/abs/1603.09246.
    """

    kind: Literal["pretext"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The node that shall know which change it was, and the field that a view changes."""
    views: str
    """The view; it has a step that tells which change it made, such as `quarter_turn`, and is drawn once."""
    classifier: tuple[PositiveInt, ...] = ()
    """Widths of the layers between the node and the answers; one linear layer where empty. It is not deployed."""
    answers: Annotated[int, Field(ge=2)] | None = None
    """How many changes the view makes; known from the data where that is given."""
