"""Torch's layers for series that would take a batch's rows for the steps of one series, without an error."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from jumpml.core import GraphError, Problem, refusal
from jumpml.graph._node import class_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_SAYS: tuple[tuple[type[nn.Module], str], ...] = (
    (nn.RNNBase, "batch_first"),
    (nn.MultiheadAttention, "batch_first"),
    (nn.TransformerEncoderLayer, "self_attn.batch_first"),
    (nn.TransformerDecoderLayer, "self_attn.batch_first"),
    (nn.TransformerEncoder, "layers.0.self_attn.batch_first"),
    (nn.TransformerDecoder, "layers.0.self_attn.batch_first"),
    (nn.Transformer, "batch_first"),
)


def check_batch_first(name: str, module: nn.Module, values: Sequence[Any]) -> None:
    """Refuse a layer that reads steps first, or that gets rows without steps.

    It would run, mix the rows of a batch, and learn something else. Of a ``torch.nn.Sequential`` the first module is
    looked at: it is the one that reads the batch.

    Args:
        name: The node's.
        module: Its module.
        values: What it is given.

    Raises:
        GraphError: It is such a layer.
    """
    while isinstance(module, nn.Sequential) and len(module) > 0:
        module = module[0]
    place = next((place for kind, place in _SAYS if isinstance(module, kind)), None)
    given = next((value for value in values if isinstance(value, Tensor)), None)
    if place is None or given is None or not given.is_floating_point():
        return
    cls = class_name(type(module))
    if given.ndim == 2:
        text = f"{cls} would take the rows of a batch for the steps of one series: it is given 2 axes."
        raise refusal(GraphError, [Problem(("nodes", name), text, "It reads [batch, steps, features].")])
    if not attrgetter(place)(module):
        text = f"{cls} reads [steps, batch, features], and would take the rows of a batch for the steps of a series."
        raise refusal(GraphError, [Problem(("nodes", name), text, "Give it batch_first: true (batch_first=True).")])
