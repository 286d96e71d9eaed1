"""The learner: phases of a short loop, checkpoints that resume exactly, averages, logs."""

from jumpml.learn._averaging import has_average, is_average
from jumpml.learn._build import build_learner
from jumpml.learn._checkpoints import Checkpoints
from jumpml.learn._history import RunHistory
from jumpml.learn._hook import Hook, Step
from jumpml.learn._learner import Learner
from jumpml.learn._logs import JsonlLog, Log, ProgressLog, StepRecord, TensorBoardLog
from jumpml.learn._phase import Cosine, OneCycle, Phase
from jumpml.learn._progress import Progress, Saving

__all__ = [
    "Checkpoints",
    "Cosine",
    "Hook",
    "JsonlLog",
    "Learner",
    "Log",
    "OneCycle",
    "Phase",
    "Progress",
    "ProgressLog",
    "RunHistory",
    "Saving",
    "Step",
    "StepRecord",
    "TensorBoardLog",
    "build_learner",
    "has_average",
    "is_average",
]
