"""What is learned from next: teachers that choose an arm for each update, pacing from easy to hard rows."""

from jumpml.curriculum._build import build_teacher
from jumpml.curriculum._build_pacing import build_pacing, build_row_weights
from jumpml.curriculum._by_rows import Annealed, Proportional, Temperature
from jumpml.curriculum._exp3s import Exp3S
from jumpml.curriculum._online_mixing import OnlineMixing
from jumpml.curriculum._pacing import (
    BabyStep,
    ExponentialPacing,
    LinearPacing,
    Pacing,
    PacingFunction,
    RootPacing,
    StepPacing,
)
from jumpml.curriculum._policy_gradient import PolicyGradient
from jumpml.curriculum._ppo import PPO
from jumpml.curriculum._ranks import difficulty_bins, difficulty_problem, ranked
from jumpml.curriculum._reward_scale import RewardScale
from jumpml.curriculum._row_weights import RowWeights, SelfPaced, SuperLoss
from jumpml.curriculum._teacher import Arm, Array, Teacher
from jumpml.curriculum._thompson import Thompson
from jumpml.curriculum._tscl import TSCL
from jumpml.curriculum._uniform import Uniform

__all__ = [
    "Array",
    "Arm",
    "Teacher",
    "RewardScale",
    "Uniform",
    "Proportional",
    "Temperature",
    "Annealed",
    "Exp3S",
    "TSCL",
    "Thompson",
    "PolicyGradient",
    "PPO",
    "OnlineMixing",
    "build_teacher",
    "build_pacing",
    "build_row_weights",
    "Pacing",
    "PacingFunction",
    "LinearPacing",
    "RootPacing",
    "ExponentialPacing",
    "StepPacing",
    "BabyStep",
    "RowWeights",
    "SelfPaced",
    "SuperLoss",
    "ranked",
    "difficulty_bins",
    "difficulty_problem",
]
