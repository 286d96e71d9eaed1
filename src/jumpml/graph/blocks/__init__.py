"""A few good modules for nodes; `jumpml.blocks` is their public name."""

from jumpml.graph.blocks._audio_cnn import AudioCNN
from jumpml.graph.blocks._causal_decoder import CausalDecoder
from jumpml.graph.blocks._concat import Concat
from jumpml.graph.blocks._conv_encoder import ConvEncoder
from jumpml.graph.blocks._conv_next import ConvNeXt
from jumpml.graph.blocks._cross_stitch import CrossStitch
from jumpml.graph.blocks._embedding import Embedding
from jumpml.graph.blocks._ft_transformer import FTTransformer
from jumpml.graph.blocks._head import Head
from jumpml.graph.blocks._mixture_of_experts import MixtureOfExperts
from jumpml.graph.blocks._mlp import MLP
from jumpml.graph.blocks._mmoe import MMoE
from jumpml.graph.blocks._patch_tst import PatchTST
from jumpml.graph.blocks._pixel_head import PixelHead
from jumpml.graph.blocks._ple import CGC, PLE
from jumpml.graph.blocks._pool import Pool
from jumpml.graph.blocks._recurrent import Recurrent
from jumpml.graph.blocks._residual_mlp import ResidualMLP
from jumpml.graph.blocks._resnet import ResNet
from jumpml.graph.blocks._tabular_embedding import TabularEmbedding
from jumpml.graph.blocks._task_adapter import TaskAdapter
from jumpml.graph.blocks._tcn import TCN
from jumpml.graph.blocks._transformer_encoder import TransformerEncoder
from jumpml.graph.blocks._unet_decoder import UNetDecoder
from jumpml.graph.blocks._upsample import Upsample
from jumpml.graph.blocks._variational_bottleneck import VariationalBottleneck
from jumpml.graph.blocks._vit import ViT

__all__ = [
    "CGC",
    "MLP",
    "MMoE",
    "PLE",
    "TCN",
    "AudioCNN",
    "CausalDecoder",
    "Concat",
    "ConvEncoder",
    "ConvNeXt",
    "CrossStitch",
    "Embedding",
    "FTTransformer",
    "Head",
    "MixtureOfExperts",
    "PixelHead",
    "PatchTST",
    "Pool",
    "Recurrent",
    "ResNet",
    "ResidualMLP",
    "TabularEmbedding",
    "TaskAdapter",
    "TransformerEncoder",
    "UNetDecoder",
    "Upsample",
    "ViT",
    "VariationalBottleneck",
]
