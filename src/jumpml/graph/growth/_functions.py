"""Torch's functions by what they do with units: names, as a call shows them."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# each number alone, or those of several values that stand at the same place
ONE_BY_ONE = _words("""
    add sub rsub mul div true_divide pow relu relu6 gelu silu mish elu selu celu leaky_relu hardtanh hardswish
    hardsigmoid softplus softsign tanh sigmoid logsigmoid exp log log1p sqrt rsqrt abs neg square sin cos erf
    clamp clamp_min clamp_max clip maximum minimum where masked_fill dropout dropout1d dropout2d dropout3d
    alpha_dropout feature_alpha_dropout to type float double half bfloat16 contiguous clone detach nan_to_num
""")
# numbers are only put elsewhere
MOVES = _words("""
    view reshape flatten unflatten permute transpose swapaxes movedim squeeze unsqueeze expand expand_as chunk
    split unbind select narrow index_select gather cat concat stack flip roll repeat unfold __getitem__
    __get__ view_as reshape_as T mT
""")
# of the first: units that are read so have a factor, which is 1 where it is fresh
FACTORS = _words("""
    mul div true_divide rmul imul truediv itruediv
""")
# one number is taken of many
REDUCES = _words("""
    mean sum amax amin max min std var logsumexp prod norm softmax log_softmax cumsum normalize
""")
# places are taken together, channels are not; with the number of their axes behind
POOLS = _words("""
    max_pool avg_pool adaptive_max_pool adaptive_avg_pool lp_pool
""")
