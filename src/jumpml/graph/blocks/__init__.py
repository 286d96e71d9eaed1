"""A few good modules for nodes; `jumpml.blocks` is their public name."""

from jumpml.graph.blocks._concat import Concat
from jumpml.graph.blocks._conv_encoder import ConvEncoder
from jumpml.graph.blocks._head import Head
from jumpml.graph.blocks._masked_mean import MaskedMean
from jumpml.graph.blocks._mlp import MLP

__all__ = ["MLP", "Concat", "ConvEncoder", "Head", "MaskedMean"]
