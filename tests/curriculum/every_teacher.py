"""Every kind of teacher by name, made as strong as few rewards need to show in what is chosen."""

from __future__ import annotations

from collections.abc import Callable

from jumpml.curriculum import (
    PPO,
    TSCL,
    Annealed,
    Exp3S,
    OnlineMixing,
    PolicyGradient,
    Proportional,
    Teacher,
    Temperature,
    Thompson,
    Uniform,
)

Make = Callable[[], Teacher]
BY_ROWS: dict[str, Make] = {
    "uniform": Uniform,
    "proportional": Proportional,
    "temperature": Temperature,
    "annealed": Annealed,
}
LEARNERS: dict[str, Make] = {
    "exp3s": lambda: Exp3S(eta=0.5),
    "online": lambda: TSCL("online"),
    "boltzmann": lambda: TSCL("online", temperature=0.1),
    "window": lambda: TSCL("window", window=5),
    "sampling": lambda: TSCL("sampling", window=5),
    "thompson": Thompson,
    "policy_gradient": lambda: PolicyGradient(lr=1.0),
    "ppo": lambda: PPO(lr=0.3, horizon=4),
    "online_mixing": lambda: OnlineMixing(alpha=0.5),
}
TEACHERS = {**BY_ROWS, **LEARNERS}
