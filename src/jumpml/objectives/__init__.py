"""What is minimised, one file a family; `reduce`; and the objectives that a model file asks for."""

from jumpml.objectives._binary_cross_entropy import BinaryCrossEntropy
from jumpml.objectives._build import build_objectives
from jumpml.objectives._contrastive import Contrastive, SupervisedContrastive
from jumpml.objectives._cross_entropy import CrossEntropy
from jumpml.objectives._distances import MeanSquaredError
from jumpml.objectives._distillation import Distillation
from jumpml.objectives._ewc import EWC
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._penalties import L1, L2
from jumpml.objectives._quantile import Quantile
from jumpml.objectives._reduce import reduce, reduce_all
from jumpml.objectives._vicreg import VICReg

__all__ = [
    "ObjectiveModule",
    "CrossEntropy",
    "BinaryCrossEntropy",
    "MeanSquaredError",
    "Quantile",
    "Contrastive",
    "SupervisedContrastive",
    "VICReg",
    "L1",
    "L2",
    "EWC",
    "Distillation",
    "reduce",
    "reduce_all",
    "build_objectives",
]
