"""The learner: phases of a short loop, checkpoints that resume exactly, averages, logs."""

from jumpml.learn._build import build_learner, join_processes
from jumpml.learn._build_phases import build_phases
from jumpml.learn._history import RunHistory
from jumpml.learn._hook import Hook, Step
from jumpml.learn._learner import Learner
from jumpml.learn._phase import Phase
from jumpml.learn._progress import Progress, Saving
from jumpml.learn._told import told_by
from jumpml.learn.adapting import (
    MEMO,
    TTT,
    Adaptation,
    AdaptationMethod,
    Adapted,
    BatchStatistics,
    Entropy,
    Probe,
    evaluate_beside,
)
from jumpml.learn.continual._fisher import fisher_information
from jumpml.learn.continual._replay import Replay
from jumpml.learn.continual._reservoir import Reservoir
from jumpml.learn.examples._late_rows import late_rows
from jumpml.learn.examples._pace import Pace
from jumpml.learn.examples._prioritizing import Prioritizing
from jumpml.learn.examples._reference import difficulty_by, difficulty_of_run
from jumpml.learn.examples._tempering import Tempering
from jumpml.learn.examples._weighing import Weighing
from jumpml.learn.hooks._averaging import EMA, has_average, is_average
from jumpml.learn.hooks._balancing import Balancing
from jumpml.learn.hooks._cosines import Cosines
from jumpml.learn.hooks._early_stop import EarlyStop
from jumpml.learn.hooks._embedding_probe import EmbeddingProbe
from jumpml.learn.hooks._embeddings import Embeddings
from jumpml.learn.hooks._grow import AtEpoch, Grow, GrowthRule, OnPlateau
from jumpml.learn.hooks._idle_balance import idle_balance
from jumpml.learn.hooks._statistics import Statistics
from jumpml.learn.hooks._swa import SWA, with_swa
from jumpml.learn.hooks._task_stop import TaskStop
from jumpml.learn.initial._initialize import initialize
from jumpml.learn.initial._schemes import LSUV, Kaiming, Normal, Orthogonal, Scheme, Xavier, Zeros
from jumpml.learn.logs._csv_log import CsvLog
from jumpml.learn.logs._logs import JsonlLog, Log, StepRecord, TensorBoardLog
from jumpml.learn.logs._progress_log import ProgressLog
from jumpml.learn.logs._trackers import MLflowLog, TrackerLog, WandbLog
from jumpml.learn.optimizers._joint import JointOptimizer
from jumpml.learn.optimizers._optimizers import make_optimizer
from jumpml.learn.optimizers._param_groups import Group
from jumpml.learn.processes._processes import Processes
from jumpml.learn.saving._checkpoints import Checkpoints
from jumpml.learn.schedules._schedules import (
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
from jumpml.learn.steps._execution import Compile
from jumpml.learn.steps._relived import RelivedStep
from jumpml.learn.teaching._axes import Axis, Classes, DataSets, Difficulty, Objectives, Part, Tasks, Views
from jumpml.learn.teaching._choices import Choice
from jumpml.learn.teaching._rewards import (
    SPG,
    GradientNorm,
    LossDrop,
    LossReward,
    MetricGain,
    PredictionGain,
    Reward,
    TargetGain,
)
from jumpml.learn.teaching._sight import Sight
from jumpml.learn.teaching._teaching import Teaching
from jumpml.learn.trials import BatchSizes, LearningRates, OverfitReport, StepProfile

__all__ = [
    "Teaching",
    "Axis",
    "Part",
    "DataSets",
    "Tasks",
    "Objectives",
    "Classes",
    "Views",
    "Reward",
    "Sight",
    "Choice",
    "SPG",
    "PredictionGain",
    "LossReward",
    "GradientNorm",
    "Difficulty",
    "TargetGain",
    "LossDrop",
    "MetricGain",
    "with_swa",
    "Pace",
    "Weighing",
    "Prioritizing",
    "Tempering",
    "difficulty_by",
    "difficulty_of_run",
    "Statistics",
    "EarlyStop",
    "TaskStop",
    "Balancing",
    "Cosines",
    "idle_balance",
    "late_rows",
    "Embeddings",
    "EmbeddingProbe",
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
    "Adaptation",
    "AdaptationMethod",
    "Adapted",
    "AtEpoch",
    "Entropy",
    "Group",
    "Grow",
    "GrowthRule",
    "OnPlateau",
    "ScheduleFunction",
    "Constant",
    "BatchSizes",
    "BatchStatistics",
    "Checkpoints",
    "Cosine",
    "CsvLog",
    "Hook",
    "JsonlLog",
    "Learner",
    "LearningRates",
    "Log",
    "MEMO",
    "TTT",
    "MLflowLog",
    "OneCycle",
    "OverfitReport",
    "Phase",
    "Probe",
    "Processes",
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
    "evaluate_beside",
    "fisher_information",
    "has_average",
    "is_average",
    "join_processes",
    "told_by",
]
