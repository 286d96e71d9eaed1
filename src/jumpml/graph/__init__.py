"""Nodes and wiring to one ``nn.Module``: shapes, plans of what to run, predictions by task kind."""

from jumpml.graph._brought import BroughtLoss
from jumpml.graph._build import build_nodes, build_tasks, fields_read
from jumpml.graph._codes import classes_problem
from jumpml.graph._drawn import is_drawn
from jumpml.graph._elsewhere import fill_nodes
from jumpml.graph._history import channels_of
from jumpml.graph._model import Model
from jumpml.graph._node import Node
from jumpml.graph._plan import LossPlan, Plan
from jumpml.graph._prediction import decide, in_rising_order, probabilities, scores
from jumpml.graph.growth import (
    FRESH,
    Branch,
    Classes,
    Deepen,
    Growth,
    IndexMap,
    LowRank,
    Merge,
    NewTask,
    Shrink,
    Surgery,
    Widen,
)

__all__ = [
    "FRESH",
    "Branch",
    "Classes",
    "NewTask",
    "Deepen",
    "LowRank",
    "Merge",
    "BroughtLoss",
    "Growth",
    "IndexMap",
    "LossPlan",
    "Model",
    "Node",
    "Plan",
    "Shrink",
    "Surgery",
    "Widen",
    "build_nodes",
    "build_tasks",
    "channels_of",
    "classes_problem",
    "decide",
    "fields_read",
    "fill_nodes",
    "in_rising_order",
    "is_drawn",
    "probabilities",
    "scores",
]
