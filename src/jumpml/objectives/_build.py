"""From a model file to its objectives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from jumpml.core import (
    JumpMLError,
    ObjectiveError,
    Spec,
    SpecError,
    WeightSchedule,
    brought,
    derive_seed,
    resolve_class,
    resolve_function,
)
from jumpml.graph import BroughtLoss
from jumpml.objectives._binary_cross_entropy import BinaryCrossEntropy
from jumpml.objectives._contrastive import Contrastive, SupervisedContrastive
from jumpml.objectives._cross_entropy import CrossEntropy
from jumpml.objectives._distances import Huber, MeanAbsoluteError, MeanSquaredError
from jumpml.objectives._divergences import Cosine, KullbackLeibler
from jumpml.objectives._ewc import EWC
from jumpml.objectives._foreign import Function, LossModule
from jumpml.objectives._forgetting import LwF
from jumpml.objectives._jacobian import Jacobian
from jumpml.objectives._likelihoods import GaussianNLL, PoissonNLL
from jumpml.objectives._ordinal import Corn
from jumpml.objectives._overlap import Dice
from jumpml.objectives._penalties import L1, L2, Orthogonality, TotalVariation
from jumpml.objectives._quantile import Quantile
from jumpml.objectives._ranking import Ranking
from jumpml.objectives._sequences import CTC
from jumpml.objectives._similarity import CKA, Decorrelation
from jumpml.objectives._start import L2SP
from jumpml.objectives._synaptic import SI
from jumpml.objectives._triplets import BatchHardTriplet, Triplet
from jumpml.objectives.self_supervised._barlow_twins import BarlowTwins
from jumpml.objectives.self_supervised._byol import BYOL
from jumpml.objectives.self_supervised._cpc import CPC
from jumpml.objectives.self_supervised._dino import DINO
from jumpml.objectives.self_supervised._jepa import JEPA
from jumpml.objectives.self_supervised._latent_prediction import LatentPrediction
from jumpml.objectives.self_supervised._lejepa import LeJEPA
from jumpml.objectives.self_supervised._masked import Masked
from jumpml.objectives.self_supervised._moco import MoCo
from jumpml.objectives.self_supervised._next_token import NextToken
from jumpml.objectives.self_supervised._next_value import NextValue
from jumpml.objectives.self_supervised._nt_xent import CLIP, NTXent
from jumpml.objectives.self_supervised._pretext import Pretext
from jumpml.objectives.self_supervised._simsiam import SimSiam
from jumpml.objectives.self_supervised._swav import SwAV
from jumpml.objectives.self_supervised._ts2vec import TS2Vec
from jumpml.objectives.self_supervised._vicreg import VICReg
from jumpml.objectives.self_supervised._vime import VIME
from jumpml.objectives.semi_supervised._fixmatch import FixMatch
from jumpml.objectives.semi_supervised._mean_teacher import MeanTeacher
from jumpml.objectives.semi_supervised._pseudo_label import PseudoLabel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from jumpml.core import Mistake, ModelSpec, Objective, Weight

KINDS: Mapping[str, Callable[..., Objective]] = {
    "cross_entropy": CrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
    "corn": Corn,
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "huber": Huber,
    "gaussian_nll": GaussianNLL,
    "poisson_nll": PoissonNLL,
    "quantile": Quantile,
    "kl": KullbackLeibler,
    "ctc": CTC,
    "dice": Dice,
    "cosine": Cosine,
    "contrastive": Contrastive,
    "supervised_contrastive": SupervisedContrastive,
    "triplet": Triplet,
    "batch_hard_triplet": BatchHardTriplet,
    "ranking": Ranking,
    "cka": CKA,
    "decorrelation": Decorrelation,
    "jacobian": Jacobian,
    "vicreg": VICReg,
    "nt_xent": NTXent,
    "clip": CLIP,
    "barlow_twins": BarlowTwins,
    "simsiam": SimSiam,
    "byol": BYOL,
    "moco": MoCo,
    "dino": DINO,
    "swav": SwAV,
    "lejepa": LeJEPA,
    "masked": Masked,
    "vime": VIME,
    "pretext": Pretext,
    "pseudo_label": PseudoLabel,
    "fixmatch": FixMatch,
    "mean_teacher": MeanTeacher,
    "latent_prediction": LatentPrediction,
    "jepa": JEPA,
    "ts2vec": TS2Vec,
    "cpc": CPC,
    "next_value": NextValue,
    "next_token": NextToken,
    "l1": L1,
    "l2": L2,
    "orthogonality": Orthogonality,
    "total_variation": TotalVariation,
    "ewc": EWC,
    "si": SI,
    "l2_sp": L2SP,
    "lwf": LwF,
    "brought": BroughtLoss,
}


def build_objectives(spec: ModelSpec, trust: Collection[str] = ()) -> dict[str, Objective]:
    """The objectives that a model file asks for, not yet connected.

    Args:
        spec: The model file.
        trust: Packages beside ``torch.nn`` and ``jumpml`` that losses may come from.

    Returns:
        By name: first the tasks' own, under the tasks' names, then the others.

    Raises:
        SpecError: A task and an objective share a name, or an objective cannot be made; all mistakes with their lines.

    Example:
        >>> from jumpml.core import ModelSpec, load_spec
        >>> nodes = {"age": {"module": "torch.nn.Linear", "inputs": "x", "args": {"in_features": 3, "out_features": 1}}}
        >>> tasks = {"age": {"kind": "regression", "output": "age", "target": "years"}}
        >>> build_objectives(load_spec(ModelSpec, {"nodes": nodes, "tasks": tasks}))["age"].inputs
        ('age', 'years')
    """
    objectives: dict[str, Objective] = {}
    mistakes = _shared_names(spec)
    for path, kind, options in _wanted(spec):
        try:
            objectives[path[1]] = _make(path[1], kind, options, trust, spec.seed)
        except JumpMLError as error:
            mistakes.append(spec.mistake(path, str(error)))
    if mistakes:
        raise SpecError(spec.source, mistakes)
    return objectives


def _wanted(spec: ModelSpec) -> list[tuple[tuple[str, ...], str, dict[str, Any]]]:
    """Of each objective where it stands in the file, its kind and its options."""
    wanted: list[tuple[tuple[str, ...], str, dict[str, Any]]] = []
    for name, task in spec.tasks.items():
        if task.objective is not None:
            changes = task.objective
            of = brought(task.kind, task.quantiles or ())
            kind = changes.kind or of.objective
            inputs = (task.output, task.target + of.truth)
            shared: dict[str, Any] = {"inputs": inputs, "weight": _weight(changes.weight), "when": changes.when}
            if of.at == "tokens" and kind == "cross_entropy":
                shared["classes_last"] = True
            if kind == "quantile":
                shared["quantiles"] = task.quantiles
            wanted.append((("tasks", name, "objective"), kind, shared | changes.options()))
    for name, objective in spec.objectives.items():
        options: dict[str, Any] = objective.model_dump(exclude={"kind"}, exclude_none=True)
        options |= {key: _weight(value) for key, value in objective if isinstance(value, Spec)}  # ways over a phase
        if "parameters" in options:
            options["parameters_of"] = options.pop("parameters")
        wanted.append((("objectives", name), objective.kind, options))
    return wanted


def _weight(weight: Any) -> Weight:
    return weight if isinstance(weight, float) else WeightSchedule(**weight.model_dump())


def _make(name: str, kind: str, options: dict[str, Any], trust: Collection[str], seed: int | None) -> Objective:
    if kind == "function":
        return Function(resolve_function(options.pop("function"), trust), **options)
    if kind != "module":
        return KINDS[kind](**options)
    cls, args = resolve_class(options.pop("module"), nn.Module, trust), options.pop("args", {})
    try:
        # its weights, if it has some, follow the model's seed; torch's generator is left as it was
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(derive_seed(seed, "loss", name))
            module = cls(**args)
    except Exception as error:  # a constructor may raise anything when it dislikes what the file gives it
        said = f"{type(error).__name__}: {str(error).strip().rstrip('.')}"
        raise ObjectiveError(f"{cls.__module__}.{cls.__qualname__} does not take these arguments. {said}.") from error
    return LossModule(module, **options)


def _shared_names(spec: ModelSpec) -> list[Mistake]:
    fix = "Tasks and objectives have one set of names: rename it, or change the task's own under its key `objective`."
    return [
        spec.mistake(("objectives", name), f"{name!r} is a task already, whose own objective has its name.", fix)
        for name in spec.objectives
        if name in spec.tasks
    ]
