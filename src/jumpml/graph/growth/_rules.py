"""What each of torch's functions does with units: whether it makes them, reads them, or hands them on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from jumpml.graph.growth._follow import Place
from jumpml.graph.growth._units import SWEEP, swept

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jumpml.graph.growth._follow import Call
    from jumpml.graph.growth._units import Fill, Labels, Units

_ONE_BY_ONE = [
    "add",
    "sub",
    "rsub",
    "mul",
    "div",
    "true_divide",
    "pow",
    "relu",
    "relu6",
    "gelu",
    "silu",
    "mish",
    "elu",
    "selu",
    "celu",
    "leaky_relu",
    "hardtanh",
    "hardswish",
    "hardsigmoid",
    "softplus",
    "softsign",
    "tanh",
    "sigmoid",
    "logsigmoid",
    "exp",
    "log",
    "log1p",
    "sqrt",
    "rsqrt",
    "abs",
    "neg",
    "square",
    "sin",
    "cos",
    "erf",
    "clamp",
    "clamp_min",
    "clamp_max",
    "clip",
    "maximum",
    "minimum",
    "where",
    "masked_fill",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "alpha_dropout",
    "feature_alpha_dropout",
    "to",
    "type",
    "float",
    "double",
    "half",
    "bfloat16",
    "contiguous",
    "clone",
    "detach",
    "nan_to_num",
]
_MOVES = [
    "view",
    "reshape",
    "flatten",
    "unflatten",
    "permute",
    "transpose",
    "swapaxes",
    "movedim",
    "squeeze",
    "unsqueeze",
    "expand",
    "expand_as",
    "chunk",
    "split",
    "unbind",
    "select",
    "narrow",
    "index_select",
    "gather",
    "cat",
    "concat",
    "stack",
    "flip",
    "roll",
    "repeat",
    "unfold",
    "__getitem__",
    "__get__",
    "view_as",
    "reshape_as",
    "T",
    "mT",
]
_FACTORS = ["mul", "div", "true_divide", "rmul", "imul", "truediv", "itruediv"]
_REDUCES = [
    "mean",
    "sum",
    "amax",
    "amin",
    "max",
    "min",
    "std",
    "var",
    "logsumexp",
    "prod",
    "norm",
    "softmax",
    "log_softmax",
    "cumsum",
    "normalize",
]
_POOLS = ["max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool", "lp_pool", "boolean_dispatch"]
_OF_A_CHANNEL: dict[str, Fill] = {"running_mean": "zero", "running_var": "one", "weight": "one", "bias": "zero"}
_STEPS = ("lstm", "gru", "rnn_tanh", "rnn_relu")


def rule_of(name: str) -> Callable[[Call], None]:
    """What to do at a call of the function of this name."""
    plain = name.strip("_")
    plain = plain[1:] if plain in {"radd", "rmul", "rsub", "rdiv", "rtruediv", "iadd", "imul", "isub"} else plain
    plain = "div" if plain == "truediv" else plain
    if plain.rstrip("123d") in {"conv", "conv_transpose"}:
        return _convolution
    if plain.rstrip("123d") in _POOLS or plain in {"interpolate", "upsample", "pad"}:
        return _pool
    return _RULES.get(name) or _RULES.get(plain, _unknown)


def _linear(call: Call) -> None:
    values, weight, bias = call.args[0], call.argument(1, "weight"), call.argument(2, "bias")
    follower, last = call.follower, call.result.ndim - 1
    place = follower.place(values)
    if place is not None and place.axis != values.ndim - 1:
        follower.use(weight, 1, None, "zero")
        call.put(place, place.axis)
        return
    follower.use(weight, 1, place, "zero")
    _give(call, weight, 0, bias, last)


def _give(call: Call, weight: Tensor, axis: int, bias: Any, at: int) -> None:
    """Units that a weight makes lie in what comes out."""
    made = call.follower.made_by(weight, axis)
    if made is not None:
        if bias is not None:
            call.follower.use(bias, 0, made, "drawn", weight)
        call.put(made, at)


def _convolution(call: Call) -> None:
    values, weight, bias = call.args[0], call.argument(1, "weight"), call.argument(2, "bias")
    follower, channels = call.follower, values.ndim - weight.ndim + 1
    groups = call.argument(6, "groups", 1)
    inward, outward = (0, 1) if "transpose" in call.name else (1, 0)
    place = follower.place(values)
    if place is not None and place.axis != channels:
        call.block("reads them as places, not as channels")
        place = None
    if groups == 1:
        follower.use(weight, inward, place, "zero")
        _give(call, weight, outward, bias, channels)
    elif groups == values.shape[channels] == weight.shape[0] and weight.shape[1] == 1:
        for tensor in (weight, bias):  # each channel has a filter of its own, and goes on
            if tensor is not None:
                follower.use(tensor, 0, place, "drawn", weight)
        if place is not None:
            call.put(place, channels)
    else:
        call.block(f"reads them in {groups} groups")


def _batch_norm(call: Call) -> None:
    place = call.follower.place(call.args[0])
    if place is not None and place.axis != 1:
        call.block("normalizes over them, so that its statistics would change")
        return
    for position, (name, fill) in enumerate(_OF_A_CHANNEL.items(), start=1):
        tensor = call.argument(position, name)
        if tensor is not None:
            call.follower.use(tensor, 0, place, fill)
    if place is not None:
        call.put(place, 1)


def _layer_norm(call: Call) -> None:
    values, over = call.args[0], len(call.argument(1, "normalized_shape"))
    place = call.follower.place(values)
    if place is None:
        return
    if place.axis >= values.ndim - over:
        call.block("normalizes over them, so that its statistics would change")
    call.put(place, place.axis)


def _group_norm(call: Call) -> None:
    call.block("normalizes over them in groups, so that its statistics would change")


def _prelu(call: Call) -> None:
    values, weight = call.args[0], call.argument(1, "weight")
    place = call.follower.place(values)
    if weight.numel() > 1:
        if place is not None and place.axis != 1:
            call.block("has a slope for each index of another axis")
            return
        call.follower.use(weight, 0, place, "quarter")
    if place is not None:
        call.put(place, place.axis)


def _embedding(call: Call) -> None:
    weight = call.argument(1, "weight")
    made = call.follower.made_by(weight, 1)
    if made is not None:
        call.put(made, call.result.ndim - 1)


def _steps(call: Call) -> None:
    """A recurrent network: gates of hidden units, which read the units of the layer before and of the step before."""
    follower, values, weights = call.follower, call.args[0], call.args[2]
    if not isinstance(weights, list | tuple):  # a packed sequence
        call.block("reads them as a packed sequence, which cannot be followed")
        return
    biases, layers, ways = call.args[3], call.args[4], 2 if call.args[7] else 1
    each = 4 if biases else 2
    if len(weights) != each * layers * ways:
        call.block("reads them by projected weights, which cannot be followed")
        return
    count, gates = weights[1].shape[1], weights[1].shape[0] // weights[1].shape[1]
    place = follower.place(values)
    if place is not None and place.axis != values.ndim - 1:
        call.block("reads them as steps")
        place = None
    made = follower.made_by(weights[0], 0, swept(*[range(count)] * gates))
    if made is None:
        return
    ((units, _),) = made.parts
    once, given = (Place(1, ((units, swept(*[range(count)] * times)),)) for times in (1, ways))
    for number in range(layers * ways):
        own = weights[number * each : (number + 1) * each]
        for tensor in own:
            follower.use(tensor, 0, made, "drawn", weights[1])
        follower.use(own[1], 1, once, "zero")
        follower.use(own[0], 1, place if number < ways else given, "zero")
    output, *states = tree_leaves(call.result)
    call.put(given, output.ndim - 1, output)
    for state in states:
        call.put(once, state.ndim - 1, state)


def _attend(call: Call) -> None:
    places = [call.follower.place(value) for value in call.args[:3]]
    first = places[0]
    if first is None or any(p is None or p.axis != v.ndim - 3 for p, v in zip(places, call.args, strict=False)):
        call.block("compares them, and a further one would change what is compared")
    elif _agree(call, call.places()):
        call.put(first, first.axis)


def _one_by_one(call: Call) -> None:
    """Functions of each number alone, and of the numbers of several values that stand at the same place."""
    if not call.tracked:
        return
    rank = call.result.ndim
    places = [
        place._replace(axis=rank - value.ndim + place.axis)
        for value, place in zip(call.tracked, call.places(), strict=True)
    ]
    if not _agree(call, places):
        return
    axis = places[0].axis
    for value in tree_leaves((call.args, call.kwargs)):
        if isinstance(value, Tensor) and call.follower.place(value) is None:
            own = axis - (rank - value.ndim)
            if own < 0 or value.shape[own] == 1:
                continue
            if id(value) not in call.follower.owners:
                call.block("joins them one by one with values that are not the model's own")
                return
            call.follower.use(value, own, places[0], "one" if call.name.strip("_") in _FACTORS else "zero")
    call.put(places[0], axis)


def _agree(call: Call, places: Sequence[Place]) -> bool:
    """Make one of units that must be equally many; where they lie otherwise, that is in the way."""
    if len({(place.axis, tuple(labels for _, labels in place.parts)) for place in places}) > 1:
        call.block("joins them with others that lie otherwise")
        return False
    for place in places[1:]:
        for (units, _), (other, _) in zip(places[0].parts, place.parts, strict=True):
            units.join(other)
    return True


def _reduce(call: Call) -> None:
    if not call.tracked:
        return
    values, place = call.args[0], call.follower.place(call.args[0])
    dims = call.argument(1, "dim")
    if call.name in {"norm", "normalize"}:
        dims = call.argument(2, "dim", 1 if call.name == "normalize" else None)
    if place is None or dims is None or isinstance(dims, Tensor):
        call.block(f"takes one {call.name} over them")
        return
    gone = {dim % values.ndim for dim in ([dims] if isinstance(dims, int) else dims)}
    if place.axis in gone:
        call.block(f"takes the {call.name} over them")
        return
    for value in tree_leaves(call.result):
        same = value.ndim == values.ndim
        call.put(place, place.axis if same else place.axis - sum(dim < place.axis for dim in gone), value)


def _pool(call: Call) -> None:
    if not call.tracked:
        return
    values, place = call.args[0], call.follower.place(call.args[0])
    if call.name == "pad":
        last = len(call.argument(1, "pad")) // 2
    else:
        last = int(call.name[-2]) if call.name[-2].isdigit() else values.ndim - 2
    if place is None or place.axis >= values.ndim - last:
        call.block("reads them as places, not as channels")
        return
    for value in tree_leaves(call.result):
        call.put(place, place.axis, value)


def _move(call: Call) -> None:
    """Functions that only put numbers elsewhere: they are asked where they put the units' labels."""
    if not call.tracked:
        return
    known = [*dict.fromkeys(units for place in call.places() for units, _ in place.parts)]
    codes = {id(value): _coded(value, call.follower.place(value), known) for value in call.tracked}
    joins = call.name in {"cat", "concat", "stack"}

    def asked(value: Any) -> Any:
        if not isinstance(value, Tensor) or not (joins or id(value) in codes):
            return value
        return codes[id(value)] if id(value) in codes else torch.full(value.shape, -1)

    with torch._C.DisableTorchFunction():
        moved = call.func(*tree_map(asked, call.args), **tree_map(asked, dict(call.kwargs)))
    for value, code in zip(tree_leaves(call.result), tree_leaves(moved), strict=True):
        if isinstance(value, Tensor):
            _decode(call, value, code, known)


def _coded(value: Tensor, place: Place | None, known: Sequence[Units]) -> Tensor:
    """In the place of each number its unit's, among all units that are known; -1 where it is none's."""
    codes = torch.full(value.shape, -1)
    for units, labels in place.parts if place else ():
        shape = [-1 if axis == place.axis else 1 for axis in range(value.ndim)] if place else []
        own = torch.tensor(labels).view(shape)
        codes = torch.where(own >= 0, own + known.index(units) * _MANY, codes)
    return codes


def _decode(call: Call, value: Tensor, codes: Tensor, known: Sequence[Units]) -> None:
    if bool((codes == -1).all()):
        return
    which = torch.where(codes < 0, codes, codes - codes % _MANY + codes % SWEEP)  # whichever sweep it is in
    varies = [axis for axis in range(which.ndim) if bool((which != which.narrow(axis, 0, 1)).any())]
    if len(varies) > 1 or 0 in varies[:1]:
        call.block(f"lays them over several axes ({call.name})")
        return
    axis = varies[0] if varies else min(call.places()[0].axis, codes.ndim - 1)  # a unit alone varies nowhere
    line = codes.movedim(axis, -1).flatten(0, -2)[0].tolist()
    parts = []
    for number, units in enumerate(known):
        own = [code - number * _MANY if code // _MANY == number else -1 for code in line]
        if max(own) >= 0:
            parts.append((units, _renumbered(own)))
    call.follower.put(value, Place(axis, tuple(parts)))


def _renumbered(labels: Sequence[int]) -> Labels:
    """The same with sweeps counted from the first that is there: a half of two is like the other."""
    sweeps = {sweep: number for number, sweep in enumerate(dict.fromkeys(n // SWEEP for n in labels if n >= 0))}
    return tuple(n if n < 0 else n % SWEEP + sweeps[n // SWEEP] * SWEEP for n in labels)


def _unknown(call: Call) -> None:
    call.block(f"calls {call.name} on them, through which they cannot be followed")


_MANY = 1 << 40  # more units than there are

_RULES: dict[str, Callable[[Call], None]] = {
    **dict.fromkeys(_ONE_BY_ONE, _one_by_one),
    **dict.fromkeys(_MOVES, _move),
    **dict.fromkeys(_REDUCES, _reduce),
    **dict.fromkeys(_STEPS, _steps),
    "linear": _linear,
    "batch_norm": _batch_norm,
    "instance_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _layer_norm,
    "group_norm": _group_norm,
    "prelu": _prelu,
    "embedding": _embedding,
    "scaled_dot_product_attention": _attend,
}
