"""Why a model answers as it does, where it struggles, what is foreign to it, and how its training went."""

import sys
from types import ModuleType
from typing import Any

from jumpml.diagnose._diagnose import Diagnosis, diagnose
from jumpml.diagnose._distance import KNN, Mahalanobis
from jumpml.diagnose._embedding import embedding_node
from jumpml.diagnose._health import training_warnings
from jumpml.diagnose._map import MappedNode

__all__ = [
    "KNN",
    "Diagnosis",
    "Mahalanobis",
    "MappedNode",
    "diagnose",
    "embedding_node",
    "training_warnings",
]


class _Room(ModuleType):
    """The room is named like its verb: once it is imported, ``jumpml.diagnose`` is the room, and still the verb."""

    def __call__(self, *args: Any, **options: Any) -> Diagnosis:
        return diagnose(*args, **options)


sys.modules[__name__].__class__ = _Room
