"""What each of torch's functions does with units: whether it makes them, reads them, or hands them on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

from jumpml.graph.growth._follow import Place
from jumpml.graph.growth._functions import FACTORS, MOVES, ONE_BY_ONE, POOLS, REDUCES
from jumpml.graph.growth._moves import move
from jumpml.graph.growth._units import swept

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jumpml.graph.growth._follow import Call
    from jumpml.graph.growth._units import Fill

_OF_A_CHANNEL: dict[str, Fill] = {"running_mean": "zero", "running_var": "one", "weight": "one", "bias": "zero"}
_STEPS = ("lstm", "gru", "rnn_tanh", "rnn_relu")


def rule_of(name: str) -> Callable[[Call], None]:
    """What to do at a call of the function of this name."""
    plain = name.strip("_")
    plain = plain[1:] if plain in {"radd", "rmul", "rsub", "rdiv", "rtruediv", "iadd", "imul", "isub"} else plain
    plain = "div" if plain == "truediv" else plain
    if plain.rstrip("123d") in {"conv", "conv_transpose"}:
        return _convolution
    if plain.rstrip("123d") in POOLS or plain in {"interpolate", "upsample", "pad"}:
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
        call.block(
            "normalizes over them, so that its statistics would change, whatever a new one gives; what can grow is "
            "what is read before its outputs come there, as a feed-forward part's first layer or an attention's heads"
        )
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
            call.follower.use(value, own, places[0], "one" if call.name.strip("_") in FACTORS else "zero")
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


def _unknown(call: Call) -> None:
    call.block(f"calls {call.name} on them, through which they cannot be followed")


_RULES: dict[str, Callable[[Call], None]] = {
    **dict.fromkeys(ONE_BY_ONE, _one_by_one),
    **dict.fromkeys(MOVES, move),
    **dict.fromkeys(REDUCES, _reduce),
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
