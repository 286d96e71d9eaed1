"""What the learner file says of several processes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jumpml.core._spec import ByName, Spec


class OneProcessSpec(Spec):
    """One process learns."""

    kind: Literal["none"]
    """The kind."""


class DDPSpec(Spec):
    """Those that a launcher such as `torchrun` has started learn together, each from its share of every batch."""

    kind: Literal["ddp"]
    """The kind."""


DistributeSpec = Annotated[OneProcessSpec | DDPSpec, Field(discriminator="kind"), ByName()]
