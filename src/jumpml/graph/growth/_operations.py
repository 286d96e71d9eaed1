"""All surgeries by their name in a lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import GraphError
from jumpml.graph.growth._branch import Branch
from jumpml.graph.growth._classes import Classes
from jumpml.graph.growth._depth import Deepen
from jumpml.graph.growth._low_rank import LowRank, Merge
from jumpml.graph.growth._task import NewTask
from jumpml.graph.growth._width import Shrink, Widen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from jumpml.graph._model import Model
    from jumpml.graph.growth._surgery import Entry, Moved, Surgery

SURGERIES: dict[str, type[Surgery]] = {
    cls.kind: cls for cls in (Widen, Shrink, Deepen, LowRank, Merge, Classes, Branch, NewTask)
}


def operate(model: Model, entry: Entry) -> Mapping[Tensor, Moved]:
    """Do what an entry of a lineage says.

    Returns:
        What took whose place.

    Raises:
        GraphError: There is no such surgery, or the model cannot have it.
    """
    if entry.get("kind") not in SURGERIES:
        known = ", ".join(SURGERIES)
        raise GraphError(
            f"a lineage holds a surgery {entry.get('kind')!r}, which this version does not know ({known})."
        )
    return SURGERIES[entry["kind"]].operate(model, entry)
