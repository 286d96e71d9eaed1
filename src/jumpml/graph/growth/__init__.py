"""Surgery on a model that is there: what it computes stays the same, and it can learn more."""

from jumpml.graph.growth._index_map import FRESH, IndexMap
from jumpml.graph.growth._surgery import Growth, Surgery
from jumpml.graph.growth._width import Shrink, Widen

__all__ = ["FRESH", "Growth", "IndexMap", "Shrink", "Surgery", "Widen"]
