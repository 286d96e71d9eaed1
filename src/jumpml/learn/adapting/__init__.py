"""Adapting a model to the rows that it predicts, without their labels."""

from jumpml.learn.adapting._adaptation import Adaptation, adapt_to
from jumpml.learn.adapting._adapted import Adapted
from jumpml.learn.adapting._beside import evaluate_beside
from jumpml.learn.adapting._build_adapting import build_adaptation, find_adaptation_problems
from jumpml.learn.adapting._entropy import Entropy
from jumpml.learn.adapting._memo import MEMO
from jumpml.learn.adapting._method import AdaptationMethod
from jumpml.learn.adapting._probe import Probe
from jumpml.learn.adapting._statistics import BatchStatistics
from jumpml.learn.adapting._ttt import TTT

__all__ = [
    "MEMO",
    "TTT",
    "Adaptation",
    "AdaptationMethod",
    "Adapted",
    "BatchStatistics",
    "Entropy",
    "Probe",
    "adapt_to",
    "build_adaptation",
    "evaluate_beside",
    "find_adaptation_problems",
]
