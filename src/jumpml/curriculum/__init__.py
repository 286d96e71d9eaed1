"""What is learned from next: teachers that choose an arm for each update by the rewards that they are told."""

from jumpml.curriculum._build import build_teacher
from jumpml.curriculum._by_rows import Annealed, Proportional, Temperature
from jumpml.curriculum._exp3s import Exp3S
from jumpml.curriculum._reward_scale import RewardScale
from jumpml.curriculum._teacher import Arm, Array, Teacher
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
    "build_teacher",
]
