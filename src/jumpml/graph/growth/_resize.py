"""Parameters and buffers of another size, where there are more or fewer units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from jumpml.core import GraphError, derive_seed
from jumpml.graph.growth._index_map import FRESH, Axes, carried
from jumpml.graph.growth._surgery import Moved
from jumpml.graph.growth._units import Member, Units, spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_CONSTANT = {"zero": 0.0, "one": 1.0, "quarter": 0.25}


def resized(
    changes: Mapping[Units, Sequence[int]], names: Mapping[int, str], seed: int
) -> dict[Tensor, tuple[Tensor, Axes]]:
    """New tensors for all on which units lie, and where each index of them comes from.

    Fresh units get incoming weights as torch draws them, uniform within the root of the number of inputs, and outgoing
    weights of zero: nothing that was there before reads anything else than before.

    Args:
        changes: By units, those that there will be: old ones by number, -1 for a fresh one.
        names: By tensor (its id), its name, on which draws depend.
        seed: Of the draws.

    Raises:
        GraphError: Units lie on an axis in a way in which none can be added.
    """
    by_tensor: dict[Tensor, dict[int, list[tuple[Member, Sequence[int]]]]] = {}
    for units, kept in changes.items():
        for member in units.members.values():
            by_tensor.setdefault(member.tensor, {}).setdefault(member.axis, []).append((member, kept))
    axes: dict[Tensor, dict[int, tuple[int, ...]]] = {}
    for tensor, found in by_tensor.items():
        for axis, members in found.items():
            source = spread(*((member.labels, kept) for member, kept in members))
            if source is None:
                raise GraphError(f"the units of {names[id(tensor)]!r} lie mixed along axis {axis}: none can be added.")
            axes.setdefault(tensor, {})[axis] = source
    made = {}
    for tensor, found in by_tensor.items():
        members = [member for each in found.values() for member, _ in each]
        fill = _filled(tensor, axes, members, derive_seed(seed, "grow", names[id(tensor)]))
        made[tensor] = carried(tensor.detach(), axes[tensor], fill), axes[tensor]
    return made


def _filled(tensor: Tensor, axes: Mapping[Tensor, Axes], members: Sequence[Member], seed: int) -> Tensor:
    """What stands at fresh places."""
    shape = _shape(tensor, axes)
    filled = torch.zeros(shape, dtype=tensor.dtype, device=tensor.device)
    for member in sorted(members, key=lambda member: member.fill == "drawn"):  # what is drawn stands over all else
        fresh = [place for place, old in enumerate(axes[tensor][member.axis]) if old == FRESH]
        if not fresh or member.fill == "zero":
            continue
        if member.fill != "drawn":
            filled.index_fill_(member.axis, torch.tensor(fresh, device=tensor.device), _CONSTANT[member.fill])
            continue
        weight = tensor if member.weight is None else member.weight
        inputs = max(_shape(weight, axes)[1:].numel(), 1)
        drawn = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        places = torch.tensor(fresh, device=tensor.device)
        drawn = (drawn * inputs**-0.5).to(filled).index_select(member.axis, places)
        filled.index_copy_(member.axis, places, drawn)
    return filled


def _shape(tensor: Tensor, axes: Mapping[Tensor, Axes]) -> torch.Size:
    moved = axes.get(tensor, {})
    return torch.Size(len(moved[axis]) if axis in moved else size for axis, size in enumerate(tensor.shape))


def put(model: nn.Module, made: Mapping[Tensor, tuple[Tensor, Axes]]) -> dict[Tensor, Moved]:
    """Put tensors in the place of others, wherever a module holds these, and tell the modules their new sizes.

    Args:
        model: The whole.
        made: By parameter or buffer, what takes its place, and where its indices come from.

    Returns:
        By what the model now holds, what it held.
    """
    placed = {id(old): _like(old, new) for old, (new, _) in made.items()}
    for module in [*model.modules()]:
        for name, tensor in _held(module):
            if id(tensor) in placed:
                setattr(module, name, placed[id(tensor)])
        _tell(module)
    return {placed[id(old)]: Moved(old, axes) for old, (_, axes) in made.items()}


def _held(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for held in (module._parameters, module._buffers):
        yield from [(name, tensor) for name, tensor in held.items() if tensor is not None]


def _like(old: Tensor, new: Tensor) -> Tensor:
    return nn.Parameter(new, requires_grad=old.requires_grad) if isinstance(old, nn.Parameter) else new


def _tell(module: Any) -> None:
    """Bring the sizes that torch's modules note beside their weights in line with these."""
    match module:
        case nn.Linear():
            module.out_features, module.in_features = module.weight.shape
        case nn.modules.conv._ConvNd():
            transposed = module.transposed
            outward, inward = module.weight.shape[:2] if not transposed else reversed(module.weight.shape[:2])
            if module.groups > 1 and module.groups == module.in_channels:
                module.groups, inward = outward, outward
            module.out_channels, module.in_channels = outward, inward
        case nn.modules.batchnorm._NormBase():
            sizes = [len(t) for t in (module.weight, module.running_mean) if t is not None]
            module.num_features = sizes[0] if sizes else module.num_features
        case nn.RNNBase():
            sizes = [getattr(module, name).shape[1] for name in ("weight_hh_l0", "weight_ih_l0")]
            module.hidden_size, module.input_size = sizes
        case nn.Embedding():
            module.num_embeddings, module.embedding_dim = module.weight.shape
        case nn.PReLU():
            module.num_parameters = module.weight.numel()
        case _ if hasattr(module, "resized"):
            module.resized()
