"""A few good modules for nodes; `jumpml.blocks` is their public name."""

from jumpml.graph.blocks._causal_decoder import CausalDecoder
from jumpml.graph.blocks._concat import Concat
from jumpml.graph.blocks._conv_encoder import ConvEncoder
from jumpml.graph.blocks._embedding import Embedding
from jumpml.graph.blocks._ft_transformer import FTTransformer
from jumpml.graph.blocks._head import Head
from jumpml.graph.blocks._masked_mean import MaskedMean
from jumpml.graph.blocks._mlp import MLP
from jumpml.graph.blocks._pixel_head import PixelHead
from jumpml.graph.blocks._residual_mlp import ResidualMLP
from jumpml.graph.blocks._resnet import ResNet
from jumpml.graph.blocks._tabular_embedding import TabularEmbedding
from jumpml.graph.blocks._transformer_encoder import TransformerEncoder

__all__ = [
    "MLP",
    "CausalDecoder",
    "Concat",
    "ConvEncoder",
    "Embedding",
    "FTTransformer",
    "Head",
    "MaskedMean",
    "PixelHead",
    "ResNet",
    "ResidualMLP",
    "TabularEmbedding",
    "TransformerEncoder",
]
