"""Surgery on a model that is there: what it computes stays the same, and it can learn more."""

from jumpml.graph.growth._branch import Branch
from jumpml.graph.growth._classes import Classes
from jumpml.graph.growth._depth import Deepen
from jumpml.graph.growth._index_map import FRESH, IndexMap
from jumpml.graph.growth._low_rank import LowRank, Merge
from jumpml.graph.growth._surgery import Growth, Surgery
from jumpml.graph.growth._task import NewTask
from jumpml.graph.growth._width import Shrink, Widen

__all__ = [
    "FRESH",
    "Branch",
    "Classes",
    "Deepen",
    "Growth",
    "IndexMap",
    "LowRank",
    "Merge",
    "NewTask",
    "Shrink",
    "Surgery",
    "Widen",
]
