"""Why a model answers as it does, where it struggles, what is foreign to it, and how its training went."""

from jumpml.diagnose._diagnose import Diagnosis, diagnose
from jumpml.diagnose._distance import KNN, Mahalanobis
from jumpml.diagnose._embedding import embedding_node, embedding_width, flatten_embedding
from jumpml.diagnose._health import training_warnings

__all__ = [
    "KNN",
    "Diagnosis",
    "Mahalanobis",
    "diagnose",
    "embedding_node",
    "embedding_width",
    "flatten_embedding",
    "training_warnings",
]
