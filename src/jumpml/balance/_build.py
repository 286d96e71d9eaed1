"""From what a learner file says to a balancer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.balance._aligned_mtl import AlignedMTL
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
from jumpml.core import derive_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jumpml.balance._balancer import GradientBalancer, LossBalancer
    from jumpml.core import BalanceSpec

_KINDS: Mapping[str, Callable[..., LossBalancer | GradientBalancer]] = {
    kind.kind: kind
    for kind in (
        *(Uncertainty, DWA, FAMO, GradNorm, FeatureNorm),
        *(UPGrad, PCGrad, CAGrad, MGDA, NashMTL, IMTLG, AlignedMTL),
    )
}


def build_balancer(spec: BalanceSpec, seed: int = 0) -> LossBalancer | GradientBalancer | None:
    """The balancer that a file asks for; None where objectives are added up.

    Args:
        spec: What it says.
        seed: The learner's, of which one that draws gets its own.
    """
    if spec.kind == "sum":
        return None
    drawn = {"seed": derive_seed(seed, "balance")} if spec.kind == PCGrad.kind else {}
    return _KINDS[spec.kind](**spec.model_dump(exclude={"kind", "over"}), **drawn)
