"""What each of several objectives counts in an update: by their losses, or by their gradients."""

from jumpml.balance._aligned_mtl import AlignedMTL
from jumpml.balance._balancer import Array, Balancer, GradientBalancer, LossBalancer
from jumpml.balance._build import build_balancer
from jumpml.balance._cagrad import CAGrad
from jumpml.balance._dwa import DWA
from jumpml.balance._famo import FAMO
from jumpml.balance._feature_norm import FeatureNorm
from jumpml.balance._grad_norm import GradNorm
from jumpml.balance._imtl_g import IMTLG
from jumpml.balance._mgda import MGDA
from jumpml.balance._nash_mtl import NashMTL
from jumpml.balance._pcgrad import PCGrad
from jumpml.balance._uncertainty import Uncertainty
from jumpml.balance._upgrad import UPGrad

__all__ = [
    "Array",
    "Balancer",
    "LossBalancer",
    "GradientBalancer",
    "Uncertainty",
    "DWA",
    "FAMO",
    "GradNorm",
    "FeatureNorm",
    "UPGrad",
    "PCGrad",
    "CAGrad",
    "MGDA",
    "NashMTL",
    "IMTLG",
    "AlignedMTL",
    "build_balancer",
]
