"""Ready-made modules for nodes, under the name that model files use: ``jumpml.blocks.ConvEncoder``."""

from jumpml.graph.blocks import (
    MLP,
    CausalDecoder,
    Concat,
    ConvEncoder,
    Embedding,
    FTTransformer,
    Head,
    MaskedMean,
    PixelHead,
    ResidualMLP,
    ResNet,
    TabularEmbedding,
    TransformerEncoder,
)

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
