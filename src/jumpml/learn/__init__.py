"""The learner: phases of a short loop, checkpoints that resume exactly, averages, logs."""

from jumpml.learn._averaging import EMA, has_average, is_average
from jumpml.learn._build import build_learner, build_phases
from jumpml.learn._checkpoints import Checkpoints
from jumpml.learn._csv_log import CsvLog
from jumpml.learn._early_stop import EarlyStop
from jumpml.learn._execution import Compile
from jumpml.learn._fisher import fisher_information
from jumpml.learn._grow import AtEpoch, Grow, GrowthRule, OnPlateau
from jumpml.learn._history import RunHistory
from jumpml.learn._hook import Hook, Step
from jumpml.learn._initialize import initialize
from jumpml.learn._joint import JointOptimizer
from jumpml.learn._learner import Learner
from jumpml.learn._logs import JsonlLog, Log, StepRecord, TensorBoardLog
from jumpml.learn._optimizers import make_optimizer
from jumpml.learn._param_groups import Group
from jumpml.learn._phase import Phase
from jumpml.learn._progress import Progress, Saving
from jumpml.learn._progress_log import ProgressLog
from jumpml.learn._relived import RelivedStep
from jumpml.learn._replay import Replay
from jumpml.learn._reservoir import Reservoir
from jumpml.learn._schedules import (
    Constant,
    Cosine,
    Linear,
    OneCycle,
    Plateau,
    Schedule,
    ScheduleFunction,
    TorchSchedule,
    Warmup,
)
from jumpml.learn._schemes import LSUV, Kaiming, Normal, Orthogonal, Scheme, Xavier, Zeros
from jumpml.learn._statistics import Statistics
from jumpml.learn._swa import SWA, with_swa
from jumpml.learn._told import told_by
from jumpml.learn._trackers import MLflowLog, TrackerLog, WandbLog
from jumpml.learn.trials import BatchSizes, LearningRates, OverfitReport, StepProfile

__all__ = [
    "with_swa",
    "Statistics",
    "EarlyStop",
    "SWA",
    "EMA",
    "Compile",
    "Kaiming",
    "LSUV",
    "Normal",
    "Orthogonal",
    "Scheme",
    "Xavier",
    "Zeros",
    "initialize",
    "make_optimizer",
    "Warmup",
    "TorchSchedule",
    "Schedule",
    "Plateau",
    "Linear",
    "JointOptimizer",
    "AtEpoch",
    "Group",
    "Grow",
    "GrowthRule",
    "OnPlateau",
    "ScheduleFunction",
    "Constant",
    "BatchSizes",
    "Checkpoints",
    "Cosine",
    "CsvLog",
    "Hook",
    "JsonlLog",
    "Learner",
    "LearningRates",
    "Log",
    "MLflowLog",
    "OneCycle",
    "OverfitReport",
    "Phase",
    "Progress",
    "ProgressLog",
    "RelivedStep",
    "Replay",
    "Reservoir",
    "RunHistory",
    "Saving",
    "Step",
    "StepProfile",
    "StepRecord",
    "TensorBoardLog",
    "TrackerLog",
    "WandbLog",
    "build_learner",
    "build_phases",
    "fisher_information",
    "has_average",
    "is_average",
    "told_by",
]
