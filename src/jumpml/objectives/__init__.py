"""What is minimised, one file a family; `reduce`; and the objectives that a model file asks for."""

from jumpml.graph import BroughtLoss
from jumpml.objectives._binary_cross_entropy import BinaryCrossEntropy
from jumpml.objectives._build import build_objectives
from jumpml.objectives._contrastive import Contrastive, SupervisedContrastive
from jumpml.objectives._cross_entropy import CrossEntropy
from jumpml.objectives._distances import Huber, MeanAbsoluteError, MeanSquaredError
from jumpml.objectives._distillation import Distillation
from jumpml.objectives._divergences import Cosine, KullbackLeibler
from jumpml.objectives._ewc import EWC, FisherKind
from jumpml.objectives._foreign import Function, LossModule
from jumpml.objectives._forgetting import LwF
from jumpml.objectives._jacobian import Jacobian
from jumpml.objectives._likelihoods import GaussianNLL, PoissonNLL
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._momentum import WithMomentum
from jumpml.objectives._ordinal import Corn
from jumpml.objectives._overlap import Dice
from jumpml.objectives._penalties import L1, L2, Orthogonality, TotalVariation
from jumpml.objectives._position_distillation import PositionDistillation
from jumpml.objectives._quantile import Quantile
from jumpml.objectives._ranking import Ranking
from jumpml.objectives._reduce import reduce, reduce_all
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
from jumpml.objectives.self_supervised._two_views import TwoViews
from jumpml.objectives.self_supervised._vicreg import VICReg
from jumpml.objectives.self_supervised._vime import VIME
from jumpml.objectives.semi_supervised._fixmatch import FixMatch
from jumpml.objectives.semi_supervised._mean_teacher import MeanTeacher
from jumpml.objectives.semi_supervised._pseudo_label import PseudoLabel

__all__ = [
    "ObjectiveModule",
    "CrossEntropy",
    "BinaryCrossEntropy",
    "Corn",
    "MeanSquaredError",
    "MeanAbsoluteError",
    "Huber",
    "GaussianNLL",
    "PoissonNLL",
    "Quantile",
    "KullbackLeibler",
    "CTC",
    "Dice",
    "Cosine",
    "Contrastive",
    "SupervisedContrastive",
    "Triplet",
    "BatchHardTriplet",
    "Ranking",
    "CKA",
    "Decorrelation",
    "Jacobian",
    "TwoViews",
    "WithMomentum",
    "VICReg",
    "NTXent",
    "CLIP",
    "BarlowTwins",
    "SimSiam",
    "BYOL",
    "MoCo",
    "DINO",
    "SwAV",
    "LeJEPA",
    "Masked",
    "VIME",
    "Pretext",
    "PseudoLabel",
    "FixMatch",
    "MeanTeacher",
    "LatentPrediction",
    "JEPA",
    "TS2Vec",
    "CPC",
    "NextValue",
    "NextToken",
    "L1",
    "L2",
    "Orthogonality",
    "TotalVariation",
    "EWC",
    "FisherKind",
    "SI",
    "L2SP",
    "LwF",
    "Distillation",
    "BroughtLoss",
    "LossModule",
    "Function",
    "PositionDistillation",
    "reduce",
    "reduce_all",
    "build_objectives",
]
