"""Ready-made modules for nodes, under the name that model files use: ``jumpml.blocks.ConvEncoder``."""

from jumpml.graph.blocks import MLP, Concat, ConvEncoder, Head, MaskedMean

__all__ = ["MLP", "Concat", "ConvEncoder", "Head", "MaskedMean"]
