"""What a copy of the learner finds out: a learning rate, whether a batch can be learned, where time and memory go."""

from jumpml.learn.trials._batch_sizes import BatchSize, BatchSizes, batch_sizes
from jumpml.learn.trials._dry_run import dry_run
from jumpml.learn.trials._find_lr import LearningRates, find_lr
from jumpml.learn.trials._overfit import OverfitObjective, OverfitReport, overfit_batch
from jumpml.learn.trials._profile import profile_step
from jumpml.learn.trials._step_profile import PartProfile, StepProfile

__all__ = [
    "BatchSize",
    "BatchSizes",
    "LearningRates",
    "OverfitObjective",
    "OverfitReport",
    "PartProfile",
    "StepProfile",
    "batch_sizes",
    "dry_run",
    "find_lr",
    "overfit_batch",
    "profile_step",
]
